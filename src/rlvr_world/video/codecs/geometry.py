"""What the codecs of video know of their tokens: the values of bins, the places of codes."""

from collections.abc import Sequence

import torch
from torch import Tensor

OCTAVES = 7
"""Frequencies of the waves over the range of an action."""


def bin_features(bins: int) -> Tensor:
    """The value in (0, 1) of each action bin, and waves over it, [bins, 1 + 2 * OCTAVES]."""
    values = (torch.arange(bins) + 0.5)[:, None] / bins
    angles = values * torch.pi / 2 * 2.0 ** torch.arange(OCTAVES)
    return torch.cat([values, angles.sin(), angles.cos()], dim=1)


def grid_places(grid: Sequence[int], frame: int) -> Tensor:
    """Row, column and frame of each code of a frame, [height * width, 3], from 1."""
    rows, columns = torch.meshgrid(*(torch.arange(1, side + 1) for side in grid), indexing="ij")
    return torch.stack([rows, columns, torch.full_like(rows, frame)], dim=-1).flatten(0, 1)
