"""Finite scalar quantisation (Mentzer et al. 2024), through ``vector_quantize_pytorch``."""

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn
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
    The library's object is no submodule: it has no weights, and its integer buffers would not
    survive a moving average of the model.

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
        """The codes [N, L, h, w] float32 of indices [N, h, w].

        Raises:
            ValueError: An index is not that of a code.
        """
        if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < self.num_codes:
            raise ValueError(
                f"codes must be from 0 to {self.num_codes - 1}, got {int(indices.min())} "
                f"to {int(indices.max())}"
            )
        return _fsq(self.levels, indices.device).indices_to_codes(indices)
