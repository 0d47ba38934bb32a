"""Models that two ranks train, whole and split, and resume: ``python sharded.py FOLDER``."""

import json
import sys
from functools import partial
from pathlib import Path

import torch
from dials import DialsRight
from lightning import Callback
from ranks import STEPS, Dials, Watch, Words, options, trainer_for
from torch.distributed.tensor import DTensor

from rlvr_world.callbacks.gradient_norm import GradientNorm
from rlvr_world.modules.checkpoint import CheckpointFiles
from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.nn.language_model import LanguageModel
from rlvr_world.nn.sharding import gathered
from rlvr_world.nn.transformer import Transformer

HALF = STEPS // 2
SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
         "num_attention_heads": 2, "num_key_value_heads": 1}  # fmt: skip
TIED = {"model_type": "qwen2", "tie_word_embeddings": True, **SIZES}
LORA = {"r": 2, "target_modules": ["q_proj", "down_proj"], "lora_dropout": 0.0}
MODELS = {
    "ours": partial(Transformer, dim=16, depth=2, heads=2, features=True),
    "tied": partial(LanguageModel, architecture=TIED, checkpointing=True),
    "lora": partial(LanguageModel, architecture={"model_type": "llama", **SIZES}, lora=LORA),
}
CASES = [("mle", "tied"), ("rlvr", "lora"), ("rlvr", "ours")]


class Ending(Words):
    """Ranks draw answers of different lengths, and have prompts of different lengths."""

    end_token = 0

    def features(self):
        return torch.eye(self.vocab_size)[:, :3]


class SaveHalf(Callback):
    def __init__(self, path):
        self.path = path

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if batch_idx + 1 == HALF:
            trainer.save_checkpoint(self.path)


def make(stage, name):
    torch.manual_seed(0)
    settings = options() | {"codec": Ending(), "backbone": MODELS[name]}
    if stage == "mle":
        return MLEWorldModel(**settings)
    model = RLVRWorldModel(
        **settings, rewards={"right": DialsRight()}, group_size=3, num_minibatches=2,
        token_budget=40, temperature_lr=0.01 if name == "ours" else None,
    )  # fmt: skip
    model.backbone.is_pretrained = True
    return model


def run(stage, name, ranks, folder, strategy, resume=None):
    """What is logged, and the weights at the end; a checkpoint is written half-way."""
    half = folder / f"{stage}_{name}_{strategy}{ranks}.ckpt"
    watch, model = Watch(), make(stage, name)
    watch.logged["train/gradient_norm"] = []
    trainer = trainer_for(
        ranks, folder, strategy, callbacks=[GradientNorm(), watch, SaveHalf(half)],
        enable_checkpointing=True, limit_val_batches=1.0, val_check_interval=HALF,
        plugins=[CheckpointFiles()],
        **({"gradient_clip_val": 1.0, "accumulate_grad_batches": 2} if stage == "mle" else {}),
    )  # fmt: skip
    data = Dials(val=23, val_batch=7, first=HALF if resume else 0)
    trainer.fit(model, data, ckpt_path=resume)
    logged = {key: values for key, values in watch.logged.items() if values}
    weights = {key: gathered(value).flatten().tolist() for key, value in model.state_dict().items()}
    own = [p.to_local() if isinstance(p, DTensor) else p for p in model.parameters()]
    found = {"logged": logged, "weights": weights, "held": sum(map(torch.numel, own))}
    return found | {"val/nll": [trainer.callback_metrics["val/nll"].item()]}


if __name__ == "__main__":
    torch.set_num_threads(1)
    place, report = Path(sys.argv[1]), {}
    for stage, name in CASES:
        whole, split = (run(stage, name, 2, place, strategy) for strategy in ("ddp", "fsdp2"))
        other = place / f"{stage}_{name}_{'auto1' if stage == 'mle' else 'ddp2'}.ckpt"
        resumed = run(stage, name, 2, place, "fsdp2", other)
        report[f"{stage} {name}"] = {"whole": whole, "split": split, "resumed": resumed}
    rank = torch.distributed.get_rank()
    (place / f"{rank}.json").write_text(json.dumps(report))
