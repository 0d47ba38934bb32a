"""What tokens share with their neighbours, and where they stand: tables learnt from both."""

from typing import Protocol

import torch
from torch import Tensor, nn


class TokenGeometry(Protocol):
    """What a codec knows of its tokens."""

    def features(self) -> Tensor | None:
        """Numbers that similar tokens have in common, [V, K]; None if there are none."""

    def places(self, frames: int) -> Tensor | None:
        """Row, column and frame of each position, [T, 3] long from 1; 0 for no place.

        T is the length of a sequence of so many frames; None if tokens have no places.
        """


class SharedRows(nn.Module):
    """A parametrization of a table [V, D]: each row is one of its own, plus its features' share.

    Args:
        features: The features of each row, [V, K].
        dim: D.
    """

    features: Tensor

    def __init__(self, features: Tensor, dim: int) -> None:
        super().__init__()
        self.register_buffer("features", features.float(), persistent=False)
        self.matrix = nn.Parameter(torch.randn(features.shape[1], dim) * 0.02)

    def forward(self, table: Tensor) -> Tensor:
        with torch.autocast(table.device.type, enabled=False):
            return torch.addmm(table, self.features.to(table.dtype), self.matrix)


class PlaceEmbedding(nn.Module):
    """Learned embeddings of the row, the column and the frame that an input predicts.

    Args:
        places: Row, column and frame of each position, [T, 3].
        dim: Width of the embeddings.
    """

    rows: Tensor

    def __init__(self, places: Tensor, dim: int) -> None:
        super().__init__()
        following = torch.cat([places[1:], torch.zeros_like(places[:1])])
        sizes = places.amax(dim=0) + 1
        self.register_buffer("rows", following + sizes.cumsum(0) - sizes, persistent=False)
        self.table = nn.Embedding(int(sizes.sum()), dim)
        nn.init.normal_(self.table.weight, std=0.02)

    def forward(self, start: int | Tensor, length: int) -> Tensor:
        """The embeddings of positions ``start ...``, [length, D]."""
        if not isinstance(start, Tensor) and start + length > len(self.rows):
            raise ValueError(
                f"backbone.frames: a sequence of {start + length} tokens has more frames than "
                f"these, which take {len(self.rows)} tokens; raise it"
            )
        positions = torch.arange(length, device=self.rows.device) + start
        return self.table(self.rows[positions]).sum(dim=1)
