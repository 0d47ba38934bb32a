"""One RLVR step by ``RLVRWorldModel``."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks.harness import Work
from benchmarks.problem import KL_WEIGHT, LEARNING_RATE, Problem, even_share
from rlvr_world.codec import Codec
from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.reward import Reward
from rlvr_world.rl.grpo import GRPO
from rlvr_world.types import Batch, TokenSequence


class TokenCodec(Codec):
    """Prompts are token ids already, and so are predictions."""

    fingerprint = "tokens"

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.vocab_size = problem.vocab_size
        self.new = problem.new

    def encode(self, batch: Batch) -> TokenSequence:
        prompts = batch["prompt"]
        ids = torch.cat([prompts, prompts.new_zeros(len(prompts), self.new)], dim=1)
        mask = torch.zeros_like(ids, dtype=torch.bool)
        mask[:, -self.new :] = True
        return TokenSequence(ids, mask)

    def decode(self, sequence: TokenSequence) -> Tensor:
        return sequence.ids[:, -self.new :]

    def target(self, batch: Batch) -> Tensor:
        return batch["prompt"]

    copy_last = target

    def legal_tokens(self) -> Tensor:
        return torch.arange(self.vocab_size) < self.vocab_size - 2


class EvenShare(Reward):
    """The share of even tokens, whatever the truth."""

    def score(self, prediction: Tensor, target: Tensor, given: Batch) -> Tensor:
        return even_share(prediction)


def our_step(problem: Problem, device: torch.device) -> Work:
    """``fit`` for one batch."""
    torch.manual_seed(0)
    codec, folder = TokenCodec(problem), Path(tempfile.mkdtemp())

    def backbone(_: int) -> Transformer:
        return Transformer(**problem.model)

    optimizer = partial(torch.optim.AdamW, lr=LEARNING_RATE)
    mle = MLEWorldModel(codec=codec, backbone=backbone, optimizer=optimizer)
    model = RLVRWorldModel(
        codec=codec,
        backbone=backbone,
        rewards={"even": EvenShare()},
        weights=checkpoint(mle, folder, device),
        optimizer=optimizer,
        group_size=problem.group,
        num_minibatches=problem.minibatches,
        objective=GRPO(kl_weight=KL_WEIGHT),
    )
    rows = [{"prompt": row, "key": str(index)} for index, row in enumerate(problem.draw())]
    loader = DataLoader(rows, batch_size=problem.prompts)

    def work() -> int:
        trainer(folder, device, max_steps=problem.minibatches).fit(model, loader)
        return problem.tokens

    return work


def trainer(folder: Path, device: torch.device, max_steps: int, **options: Any) -> Trainer:
    """A trainer that does nothing beside training."""
    return Trainer(
        max_steps=max_steps,
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **options,
    )


def checkpoint(model: MLEWorldModel, folder: Path, device: torch.device) -> Path:
    """The model's weights as the checkpoint of an MLE stage."""
    runner = trainer(folder, device, max_steps=1)
    model.trainer = runner
    runner.strategy.connect(model)
    runner.save_checkpoint(folder / "mle.ckpt")
    return folder / "mle.ckpt"
