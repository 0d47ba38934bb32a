"""What tokens share with their neighbours, where they stand, and what actions do there."""

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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


STEPS = 2
"""Steps whose actions each place of a frame is told: the one that leads to it, and that before."""


class PlacedActions(nn.Module):
    """What the latest actions do at the place that an input predicts.

    Each place has factors of its own by which it weighs what it hears of the actions, so that a
    move to the left can mean one thing at the left border and another one in the middle.

    Args:
        places: Row, column and frame of each position, [T, 3]; actions have no place.
        features: The features of each token, [V, K].
        dim: Width of what is added to the inputs.
        width: Number of factors.
    """

    features: Tensor
    latest: Tensor
    step: Tensor
    spot: Tensor
    known: Tensor

    def __init__(self, places: Tensor, features: Tensor, dim: int, width: int = 256) -> None:
        super().__init__()
        following = torch.cat([places[1:], torch.zeros_like(places[:1])])
        steps = latest_actions(places)
        latest, step = steps.unique(dim=0, return_inverse=True)
        known = (following[:, 2] > 0) & (steps[:, -1] >= 0).any(dim=1)
        spot = following[:, 0] * (places[:, 1].max() + 1) + following[:, 1]
        nothing = torch.zeros_like(features[:1])  # at -1, where there was no action yet
        self.register_buffer("features", torch.cat([features, nothing]), persistent=False)
        self.register_buffer("latest", latest.flatten(1), persistent=False)
        self.register_buffer("step", step, persistent=False)
        self.register_buffer("spot", spot, persistent=False)
        self.register_buffer("known", known, persistent=False)
        self.hear = nn.Linear(self.latest.shape[1] * features.shape[1], width)
        self.factors = nn.Embedding(int(spot.max()) + 1, width)
        self.mix = nn.Linear(width, width)
        self.out = nn.Linear(width, dim, bias=False)
        nn.init.normal_(self.hear.weight, std=0.15)
        nn.init.normal_(self.mix.weight, std=0.03)
        nn.init.normal_(self.out.weight, std=0.02)

    def forward(self, ids: Tensor, start: int | Tensor, length: int) -> Tensor:
        """What to add to the inputs at positions ``start ...``, [N, length, D].

        ``ids`` [N, S] are those of the sequence from its beginning.
        """
        positions = torch.arange(length, device=ids.device) + start
        step = self.step[positions]
        if length == 1:
            heard = self.heard(ids, self.latest[step])
        else:
            heard = self.heard(ids, self.latest)[:, step]
        placed = self.out(F.silu(self.mix(heard * self.factors(self.spot[positions]))))
        return placed * self.known[positions, None]

    def heard(self, ids: Tensor, positions: Tensor) -> Tensor:
        """Factors [N, U, W] of the actions at U lists of positions, [U, M]; -1 for none."""
        actions = ids[:, positions.clamp(0, ids.shape[1] - 1)].masked_fill(positions < 0, -1)
        return self.hear(self.features[actions].flatten(2))


def latest_actions(places: Tensor) -> Tensor:
    """Where the tokens of the latest actions are, for each position, itself included.

    Args:
        places: As for ``PlacedActions``.

    Returns:
        [T, STEPS, A], -1 where there is none.
    """
    runs: list[list[int]] = [[]]
    seen = []
    for position, frame in enumerate(places[:, 2].tolist()):
        if frame == 0:
            runs[-1].append(position)
        elif runs[-1]:
            runs.append([])
        seen.append([list(run) for run in runs if run][-STEPS:])
    size = max(len(run) for steps in seen for run in steps)
    latest = torch.full((len(seen), STEPS, size), -1)
    for position, steps in enumerate(seen):
        for step, run in enumerate(steps, start=STEPS - len(steps)):
            latest[position, step, : len(run)] = torch.tensor(run)
    return latest
