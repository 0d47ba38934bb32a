"""A probe: a network that reads off a picture where things are, and its training."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rlvr_world.modules.checkpoint import load_checkpoint
from rlvr_world.modules.stage import Stage
from rlvr_world.types import Batch

CHECKPOINT_KEY = "state_probe"
"""Where a Lightning checkpoint keeps the arguments of its probe."""

DOWNSCALE = 8
FEATURES = 64


class StateProbe(nn.Module):
    """A small convolutional network that reads parts of the simulator's state off a picture.

    Args:
        parts: The columns of the state that belong to each thing, by its name, such as
            ``{gripper: [0, 1, 2], object: [4, 5, 6]}``.
        low: Lower end of the usual range of each of these columns, in order.
        high: Upper end of these ranges.
        frame_size: Height and width of the pictures, multiples of 8.
        hidden: Width of the layer behind the convolutions.
    """

    low: Tensor
    high: Tensor

    def __init__(
        self,
        parts: Mapping[str, Sequence[int]],
        low: Sequence[float],
        high: Sequence[float],
        frame_size: Sequence[int] = (64, 64),
        hidden: int = 256,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "parts": {name: list(columns) for name, columns in parts.items()},
            "low": list(low),
            "high": list(high),
            "frame_size": list(frame_size),
            "hidden": hidden,
        }
        self.columns = list(chain.from_iterable(parts.values()))
        ranges = list(zip(low, high, strict=False))
        if not len(self.columns) == len(low) == len(high) or any(a >= b for a, b in ranges):
            raise ValueError(
                f"parts name {len(self.columns)} columns of the state, so low and high must hold "
                "as many numbers, low below high"
            )
        self.register_buffer("low", torch.tensor(low, dtype=torch.float32), persistent=False)
        self.register_buffer("high", torch.tensor(high, dtype=torch.float32), persistent=False)
        self.layers = reading_layers(3, frame_size, hidden, len(self.columns))

    def forward(self, frames: Tensor) -> Tensor:
        """The columns of all parts of pictures [N, 3, H, W], in units of the range, [N, D]."""
        if list(frames.shape[-2:]) != self.config["frame_size"]:
            height, width = self.config["frame_size"]
            raise ValueError(
                f"the state probe reads frames of {height}x{width}, but these are "
                f"{frames.shape[-2]}x{frames.shape[-1]}"
            )
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
        return 2 * (states[..., self.columns] - self.low) / (self.high - self.low) - 1

    def by_part(self, values: Tensor) -> dict[str, Tensor]:
        parts = self.config["parts"]
        split = values.split([len(columns) for columns in parts.values()], dim=-1)
        return dict(zip(parts, split, strict=True))


def reading_layers(
    channels: int, frame_size: Sequence[int], hidden: int, outputs: int
) -> nn.Sequential:
    """The layers of a probe: pictures [N, channels, H, W] to numbers [N, outputs]."""
    if len(frame_size) != 2 or any(side < 1 or side % DOWNSCALE for side in frame_size):
        raise ValueError(f"frame_size {tuple(frame_size)} must be two multiples of {DOWNSCALE}")
    places = frame_size[0] * frame_size[1] // DOWNSCALE**2
    return nn.Sequential(
        *_convolution(channels, FEATURES // 2, stride=2),
        *_convolution(FEATURES // 2, FEATURES, stride=2),
        *_convolution(FEATURES, FEATURES, stride=2),
        *_convolution(FEATURES, FEATURES, stride=1),
        nn.Flatten(),
        nn.Linear(FEATURES * places, hidden),
        nn.SiLU(),
        nn.Linear(hidden, outputs),
    )


def _convolution(channels: int, features: int, stride: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels, features, 3, stride=stride, padding=1),
        nn.GroupNorm(8, features),
        nn.SiLU(),
    )


def distances(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The Euclidean distance [...] of each part between two readings [..., K]."""
    return {name: (place - second[name]).norm(dim=-1) for name, place in first.items()}


def load_state_probe(path: str | Path) -> StateProbe:
    """The probe in a checkpoint of its stage, on the CPU."""
    checkpoint = load_checkpoint(path)
    if CHECKPOINT_KEY not in checkpoint:
        raise ValueError(f"{path}: not the checkpoint of a state probe")
    probe = StateProbe(**checkpoint[CHECKPOINT_KEY])
    weights = checkpoint["state_dict"]
    probe.load_state_dict({k.removeprefix("probe."): v for k, v in weights.items()})
    return probe.eval()


class StateProbeRegression(Stage):
    """Trains a ``StateProbe`` on true pictures and the simulator's states.

    Logs the mean distance ``val/{part}`` of each part from its true place, in the units of the
    state, and their sum ``val/error``.

    Args:
        probe: The probe.
        noise: Standard deviation of the noise that training adds to pixels in [0, 1], so that the
            probe can also read pictures that a tokenizer has drawn.
        **stage: See ``Stage``.
    """

    monitor = "val/error"

    def __init__(self, probe: StateProbe, noise: float = 0.02, **stage: Any) -> None:
        super().__init__(**stage)
        self.save_hyperparameters()
        self.probe = probe
        self.noise = noise

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        frames = batch["frames"].flatten(0, 1).float() / 255
        frames = frames + self.noise * torch.randn_like(frames)
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

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.validation_step(batch, batch_idx, prefix="test")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint[CHECKPOINT_KEY] = self.probe.config

    def check_compatible(self, checkpoint: dict[str, Any], path: Path) -> None:
        if checkpoint.get(CHECKPOINT_KEY) != self.probe.config:
            raise ValueError(f"{path}: not the checkpoint of a state probe with the same settings")


def true_states(batch: Batch) -> Tensor:
    """The simulator's states in a batch, [B, T, S]."""
    if "states" not in batch:
        raise ValueError("a state probe needs the simulator's states; the data has none")
    return batch["states"]
