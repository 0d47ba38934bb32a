"""A probe: a network that reads off a picture where things are, and its training."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rlvr_world.types import Batch
from rlvr_world.video.scenes.probe import Probe, ProbeRegression


class StateProbe(Probe):
    """A small convolutional network that reads parts of the simulator's state off a picture.

    Args:
        parts: The columns of the state that belong to each thing, by its name, such as
            ``{gripper: [0, 1, 2], object: [4, 5, 6]}``.
        low: Lower end of the usual range of each of these columns, in order.
        high: Upper end of these ranges.
        frame_size: Height and width of the pictures, multiples of 8.
        hidden: Width of the layer behind the convolutions.
    """

    kind = "state probe"

    def __init__(
        self,
        parts: Mapping[str, Sequence[int]],
        low: Sequence[float],
        high: Sequence[float],
        frame_size: Sequence[int] = (64, 64),
        hidden: int = 256,
    ) -> None:
        columns = list(chain.from_iterable(parts.values()))
        ranges = list(zip(low, high, strict=False))
        if not len(columns) == len(low) == len(high) or any(a >= b for a, b in ranges):
            raise ValueError(
                f"parts name {len(columns)} columns of the state, so low and high must hold "
                "as many numbers, low below high"
            )
        config = {
            "parts": {name: list(columns) for name, columns in parts.items()},
            "low": list(low),
            "high": list(high),
            "frame_size": list(frame_size),
            "hidden": hidden,
        }
        super().__init__(config, channels=3)
        self.columns = columns

    def forward(self, frames: Tensor) -> Tensor:
        """The columns of all parts of pictures [N, 3, H, W], in units of the range, [N, D]."""
        self.check_size(frames)
        return self.layers(frames - 0.5).float()

    @torch.no_grad()
    def read(self, frames: Tensor, chunk: int = 256) -> dict[str, Tensor]:
        """The state [..., K] of each part in pictures [..., 3, H, W], in the state's own units."""
        flat = frames.flatten(0, -4).float()
        values = torch.cat([self(part) for part in flat.split(chunk)])
        values = self.low + (values + 1) / 2 * (self.high - self.low)
        return self.by_part(values.unflatten(0, frames.shape[:-3]))

    def truth(self, states: Tensor) -> dict[str, Tensor]:
        return self.by_part(states[..., self.columns])

    def target(self, states: Tensor) -> Tensor:
        """What ``forward`` should return in states [..., S]."""
        return self.scaled(states[..., self.columns])

    def by_part(self, values: Tensor) -> dict[str, Tensor]:
        parts = self.config["parts"]
        split = values.split([len(columns) for columns in parts.values()], dim=-1)
        return dict(zip(parts, split, strict=True))


def distances(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The Euclidean distance [...] of each part between two readings [..., K]."""
    return {name: (place - second[name]).norm(dim=-1) for name, place in first.items()}


class StateProbeRegression(ProbeRegression):
    """Trains a ``StateProbe`` on true pictures and the simulator's states.

    Logs the mean distance ``val/{part}`` of each part from its true place, in the units of the
    state, and their sum ``val/error``.

    Args:
        probe: The probe.
        **options: See ``ProbeRegression``.
    """

    def __init__(self, probe: StateProbe, **options: Any) -> None:
        super().__init__(probe, **options)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        frames = self.noisy(batch).flatten(0, 1)
        target = self.probe.target(true_states(batch)).flatten(0, 1)
        loss = F.l1_loss(self.probe(frames), target)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int, prefix: str = "val") -> None:
        read = self.probe.read(batch["frames"].float() / 255)
        errors = distances(read, self.probe.truth(true_states(batch)))
        means = {name: error.mean() for name, error in errors.items()}
        means["error"] = torch.stack(list(means.values())).sum()
        logged = {f"{prefix}/{name}": mean for name, mean in means.items()}
        size = len(batch["frames"])
        self.log_dict(logged, batch_size=size, sync_dist=True, prog_bar=True)


def true_states(batch: Batch) -> Tensor:
    """The simulator's states in a batch, [B, T, S]."""
    if "states" not in batch:
        raise ValueError("a state probe needs the simulator's states; the data has none")
    return batch["states"]
