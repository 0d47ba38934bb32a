"""Finite scalar quantisation (Mentzer et al. 2024), and how its codes are used."""

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import Metric
from vector_quantize_pytorch import FSQ


class Quantized(NamedTuple):
    """What a quantiser returns."""

    codes: Tensor  # [N, L, h, w] float32 in [-1, 1], with straight-through gradients
    indices: Tensor  # [N, h, w] long


@lru_cache
def _fsq(levels: tuple[int, ...], device: torch.device) -> FSQ:
    with torch.inference_mode(False), device:
        return FSQ(list(levels), return_indices=False)


class FiniteScalarQuantizer(nn.Module):
    """Rounds each of L channels to a few levels; the combination of levels is the code.

    Works in float32 whatever the precision around it, since bfloat16 merges neighbouring codes.
    The object of ``vector_quantize_pytorch`` is no submodule: it has no weights, and its integer
    buffers would not survive a moving average of the model.

    Args:
        levels: Number of values of each channel, at least 3 each; the product is the codebook size.
        normalize: Standardise each channel by batch statistics (running ones in evaluation) first,
            so that no channel collapses to one level.
    """

    def __init__(self, levels: Sequence[int], normalize: bool = False) -> None:
        super().__init__()
        if not levels or min(levels) < 3:
            raise ValueError(f"levels: expected one or more numbers of at least 3, got {levels}")
        self.levels = tuple(levels)
        self.num_codes = prod(levels)
        self.normalization = (
            nn.BatchNorm2d(len(levels), affine=False) if normalize else nn.Identity()
        )

    def forward(self, latents: Tensor) -> Quantized:
        """Quantise latents [N, L, h, w] of any float type."""
        with torch.autocast(latents.device.type, enabled=False):
            normalized = self.normalization(latents.float())
            fsq = _fsq(self.levels, latents.device)
            codes = fsq.quantize(normalized.movedim(1, -1))
            indices = fsq.codes_to_indices(codes).long()
        return Quantized(codes.movedim(-1, 1), indices)

    def lookup(self, indices: Tensor) -> Tensor:
        """The codes [N, L, h, w] float32 of indices [N, h, w]."""
        check_codes(indices, self.num_codes, wait=not indices.is_cuda)
        return _fsq(self.levels, indices.device).indices_to_codes(indices)

    def points(self) -> Tensor:
        """The point of each code, [num_codes, L] float32 in [-1, 1]."""
        indices = torch.arange(self.num_codes)
        return _fsq(self.levels, indices.device).indices_to_codes(indices[:, None]).flatten(1)

    def features(self) -> Tensor:
        """What codes have in common with neighbours: coordinates, and the level of each channel.

        Returns:
            [num_codes, L + the sum of levels].
        """
        indices = torch.arange(self.num_codes)
        fsq = _fsq(self.levels, indices.device)
        levels = fsq.indices_to_level_indices(indices).long().unbind(-1)
        flags = [F.one_hot(level, size) for level, size in zip(levels, self.levels, strict=True)]
        return torch.cat([self.points(), *flags], dim=1)


def check_codes(indices: Tensor, num_codes: int, wait: bool) -> None:
    """Raise a ``ValueError`` for codes outside a codebook.

    Without ``wait``, as on a GPU, whose queue of work a look at the result would drain, the device
    itself ends the program with a ``RuntimeError`` later.
    """
    if not wait:
        inside = ((indices >= 0) & (indices < num_codes)).all()
        torch._assert_async(inside, f"codes must be from 0 to {num_codes - 1}")
    elif indices.numel():
        low, high = indices.aminmax()
        if low < 0 or high >= num_codes:
            raise ValueError(
                f"codes must be from 0 to {num_codes - 1}, got {int(low)} to {int(high)}"
            )


class CodeUse(Metric):
    """How a codebook is used over a set of clips.

    Args:
        num_codes: Size of the codebook.
    """

    full_state_update = False
    counts: Tensor
    unchanged: Tensor
    pairs: Tensor

    def __init__(self, num_codes: int) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(num_codes), dist_reduce_fx="sum")
        self.add_state("unchanged", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("pairs", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, codes: Tensor) -> None:
        """Count the codes [B, T, h, w] of B clips."""
        self.counts += torch.bincount(codes.flatten(), minlength=len(self.counts))
        same = codes[:, 1:] == codes[:, :-1]
        self.unchanged += same.sum()
        self.pairs += same.numel()

    def compute(self) -> dict[str, Tensor]:
        """Share of codes that occur, perplexity, and share that stay from frame to frame."""
        shares = self.counts / self.counts.sum()
        return {
            "codebook_use": (self.counts > 0).float().mean(),
            "perplexity": torch.special.entr(shares).sum().exp(),
            "code_stability": self.unchanged / self.pairs,
        }
