"""What probes share: networks that read numbers off pictures, their checkpoints, their training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from rlvr_world.modules.checkpoint import load_checkpoint
from rlvr_world.modules.stage import Stage
from rlvr_world.types import Batch

DOWNSCALE = 8
FEATURES = 64


class Probe(nn.Module):
    """A small convolutional network that reads numbers off pictures, in units of their ranges.

    Args:
        config: What its class is constructed with; ``low`` and ``high`` are the ends of the ranges,
            ``frame_size`` and ``hidden`` those of the network.
        channels: Channels of the pictures.
    """

    kind: ClassVar[str]
    """What messages call it; with an underscore, where a checkpoint keeps its arguments."""

    low: Tensor
    high: Tensor

    def __init__(self, config: Mapping[str, Any], channels: int) -> None:
        super().__init__()
        self.config = dict(config)
        low, high, size = config["low"], config["high"], config["frame_size"]
        if len(size) != 2 or any(side < 1 or side % DOWNSCALE for side in size):
            raise ValueError(f"frame_size {tuple(size)} must be two multiples of {DOWNSCALE}")
        self.register_buffer("low", torch.tensor(low, dtype=torch.float32), persistent=False)
        self.register_buffer("high", torch.tensor(high, dtype=torch.float32), persistent=False)
        self.layers = nn.Sequential(
            *_convolution(channels, FEATURES // 2, stride=2),
            *_convolution(FEATURES // 2, FEATURES, stride=2),
            *_convolution(FEATURES, FEATURES, stride=2),
            *_convolution(FEATURES, FEATURES, stride=1),
            nn.Flatten(),
            nn.Linear(FEATURES * size[0] * size[1] // DOWNSCALE**2, config["hidden"]),
            nn.SiLU(),
            nn.Linear(config["hidden"], len(low)),
        )

    @classmethod
    def key(cls) -> str:
        """Where a Lightning checkpoint keeps the arguments."""
        return cls.kind.replace(" ", "_")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The probe in a checkpoint of its stage, on the CPU."""
        checkpoint = load_checkpoint(path)
        if cls.key() not in checkpoint:
            raise ValueError(f"{path}: not the checkpoint of {cls.kind_with_article()}")
        probe = cls(**checkpoint[cls.key()])
        weights = checkpoint["state_dict"]
        probe.load_state_dict({k.removeprefix("probe."): v for k, v in weights.items()})
        return probe.eval()

    @classmethod
    def kind_with_article(cls) -> str:
        return f"{'an' if cls.kind[0] in 'aeiou' else 'a'} {cls.kind}"

    def check_size(self, frames: Tensor) -> None:
        """Raise ``ValueError`` unless frames [..., H, W] are as large as those it was made for."""
        if list(frames.shape[-2:]) != self.config["frame_size"]:
            height, width = self.config["frame_size"]
            raise ValueError(
                f"the {self.kind} reads frames of {height}x{width}, but these are "
                f"{frames.shape[-2]}x{frames.shape[-1]}"
            )

    def scaled(self, values: Tensor) -> Tensor:
        """Values [..., D] in units of their range, which is from -1 to 1."""
        return 2 * (values - self.low) / (self.high - self.low) - 1


def _convolution(channels: int, features: int, stride: int) -> Sequence[nn.Module]:
    return (
        nn.Conv2d(channels, features, 3, stride=stride, padding=1),
        nn.GroupNorm(8, features),
        nn.SiLU(),
    )


class ProbeRegression(Stage):
    """Trains a probe; a subclass writes the steps of training and validation.

    Args:
        probe: The probe.
        noise: Standard deviation of the noise that training adds to pixels in [0, 1], so that the
            probe can also read frames that a tokenizer has drawn.
        **stage: See ``Stage``.
    """

    monitor = "val/error"

    def __init__(self, probe: Probe, noise: float = 0.02, **stage: Any) -> None:
        super().__init__(**stage)
        self.save_hyperparameters()
        self.probe: Any = probe
        self.noise = noise

    def noisy(self, batch: Batch) -> Tensor:
        """The frames of a batch [B, T, 3, H, W] in [0, 1], with noise."""
        frames = batch["frames"].float() / 255
        return frames + self.noise * torch.randn_like(frames)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.validation_step(batch, batch_idx, prefix="test")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint[self.probe.key()] = self.probe.config

    def check_compatible(self, checkpoint: dict[str, Any], path: Path) -> None:
        if checkpoint.get(self.probe.key()) != self.probe.config:
            kind = self.probe.kind_with_article()
            raise ValueError(f"{path}: not the checkpoint of {kind} with the same settings")
