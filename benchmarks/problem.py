"""The RL problem that both trainers solve: random prompts, and a reward for even tokens."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

LEARNING_RATE = 1e-5
KL_WEIGHT = 1e-3


@dataclass(frozen=True)
class Problem:
    """Sizes of the model, of the prompts and of the groups."""

    vocab_size: int
    dim: int
    depth: int
    heads: int
    hidden: int
    prompts: int
    length: int
    group: int
    new: int
    minibatches: int

    @property
    def model(self) -> dict[str, Any]:
        """Arguments of the ``Transformer``."""
        return {
            name: getattr(self, name) for name in ("vocab_size", "dim", "depth", "heads", "hidden")
        }

    @property
    def tokens(self) -> int:
        """Tokens sampled in a step."""
        return self.prompts * self.group * self.new

    def replace(self, **changes: int) -> "Problem":
        """The problem with other sizes."""
        return dataclasses.replace(self, **changes)

    def draw(self) -> Tensor:
        """Prompts [B, P], which hold neither of the two special tokens, the last of all."""
        generator = torch.Generator().manual_seed(0)
        shape = (self.prompts, self.length)
        return torch.randint(self.vocab_size - 2, shape, generator=generator)

    def __str__(self) -> str:
        return (
            f"{self.prompts} prompts of {self.length} tokens x {self.group} members, "
            f"{self.new} new, {self.minibatches} minibatches"
        )


def even_share(tokens: Tensor) -> Tensor:
    """The reward: the share of even tokens in each row [N, T]."""
    return (tokens % 2 == 0).float().mean(dim=-1)
