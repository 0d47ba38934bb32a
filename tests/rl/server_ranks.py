"""RLVR whose tokens a server draws: ``python server_ranks.py FOLDER URL RANKS``."""

import json
import sys
from functools import partial
from pathlib import Path

import torch
from dials import DialCodec, DialData, DialsRight
from lightning import Callback, Trainer
from vllm_server_stand_in import modules

from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.nn.llama import to_llama
from rlvr_world.nn.transformer import Transformer
from rlvr_world.rl.vllm.sampler import VLLMSampler

BACKBONE = partial(Transformer, dim=32, depth=1, heads=2)
GROUP = 4


class Watch(Callback):
    """Notes what each step sampled, by which weights, and how far they are from the model's."""

    def __init__(self):
        self.steps = []

    def on_train_batch_end(self, trainer, module, outputs, *_):
        rollout = outputs["rollout"]
        mask = rollout.sequence.target_mask
        gap = float((rollout.importance[mask] - 1).abs().max())
        version = module.sampler.engine.version
        self.steps.append({"version": version, "gap": gap, "ids": rollout.sequence.ids.tolist()})


def train(folder, url, ranks=1):
    """Two RL steps of two optimizer steps each."""
    torch.manual_seed(0)
    rlvr = RLVRWorldModel(
        codec=DialCodec(), backbone=BACKBONE, rewards={"right": DialsRight()}, group_size=GROUP,
        num_minibatches=2, sampler=VLLMSampler(folder, server=url, timeout=10.0),
        optimizer=partial(torch.optim.AdamW, lr=1e-2),
    )  # fmt: skip
    rlvr.backbone.is_pretrained = True
    watch = Watch()
    trainer = Trainer(
        accelerator="cpu", devices=ranks, strategy="ddp" if ranks > 1 else "auto", max_steps=4,
        limit_val_batches=0, logger=False, enable_checkpointing=False, callbacks=watch,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(rlvr, DialData(batch_size=4, size=8 * ranks))
    return rlvr, watch.steps


def write_config(folder):
    """What the server is started with."""
    to_llama(BACKBONE(DialCodec().vocab_size)).config.save_pretrained(folder)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.modules |= modules()
    place = Path(sys.argv[1])
    _, seen = train(place, sys.argv[2], int(sys.argv[3]))
    rank = torch.distributed.get_rank()
    (place / f"rank{rank}.json").write_text(json.dumps(seen))
