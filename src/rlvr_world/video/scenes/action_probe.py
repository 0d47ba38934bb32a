"""An inverse model: a network that reads off two frames what was done between them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rlvr_world.modules.checkpoint import load_checkpoint
from rlvr_world.modules.stage import Stage
from rlvr_world.types import Batch
from rlvr_world.video.scenes.state_probe import reading_layers

CHECKPOINT_KEY = "action_probe"
"""Where a Lightning checkpoint keeps the arguments of its probe."""


class ActionProbe(nn.Module):
    """A small convolutional network that reads the action off the frames before and after it.

    Args:
        low: Lower end of the usual range of each number of an action.
        high: Upper end of these ranges.
        frame_size: Height and width of the frames, multiples of 8.
        hidden: Width of the layer behind the convolutions.
    """

    low: Tensor
    high: Tensor

    def __init__(
        self,
        low: Sequence[float],
        high: Sequence[float],
        frame_size: Sequence[int] = (64, 64),
        hidden: int = 256,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {"low": list(low), "high": list(high)}
        self.config |= {"frame_size": list(frame_size), "hidden": hidden}
        if not low or len(low) != len(high) or any(a >= b for a, b in zip(low, high, strict=True)):
            raise ValueError("low and high must be as long, and low below high")
        self.register_buffer("low", torch.tensor(low, dtype=torch.float32), persistent=False)
        self.register_buffer("high", torch.tensor(high, dtype=torch.float32), persistent=False)
        self.layers = reading_layers(6, frame_size, hidden, len(low))

    def forward(self, frames: Tensor) -> Tensor:
        """The actions between frames [N, T, 3, H, W] in [0, 1], as ``scaled``, [N, T - 1, A]."""
        if list(frames.shape[-2:]) != self.config["frame_size"]:
            raise ValueError(
                f"the action probe reads frames of {self.config['frame_size']} pixels, but these "
                f"are {list(frames.shape[-2:])}"
            )
        pairs = torch.cat([frames[:, :-1], frames[:, 1:]], dim=2).flatten(0, 1)
        return self.layers(pairs - 0.5).float().unflatten(0, (len(frames), -1))

    def scaled(self, actions: Tensor) -> Tensor:
        """Actions [..., A] in units of their range, which is from -1 to 1."""
        if actions.shape[-1] != len(self.low):
            raise ValueError(
                f"the action probe has ranges of {len(self.low)} numbers, but the data's actions "
                f"have {actions.shape[-1]}: give low and high of each"
            )
        return 2 * (actions - self.low) / (self.high - self.low) - 1


def read_errors(read: Tensor, done: Tensor) -> tuple[Tensor, Tensor]:
    """How far actions that were read are from those done, and whether they tell them apart.

    Args:
        read: Of G predictions of each of B transitions, [B * G, F, A].
        done: Of the B transitions, [B, F, A].

    Returns:
        The distance, and 1 where what was read is nearer to what was done than to what was done in
        another transition of the batch, else 0, both [B * G, F]; NaN where both did the same.
    """
    other = done.roll(max(1, len(done) // 2), dims=0)
    group = len(read) // len(done)
    same = (done == other).all(dim=-1).repeat_interleave(group, dim=0)
    mine, theirs = (
        (read - actions.repeat_interleave(group, dim=0)).norm(dim=-1) for actions in (done, other)
    )
    return mine, (mine < theirs).float().masked_fill(same, torch.nan)


def load_action_probe(path: str | Path) -> ActionProbe:
    """The probe in a checkpoint of its stage, on the CPU."""
    checkpoint = load_checkpoint(path)
    if CHECKPOINT_KEY not in checkpoint:
        raise ValueError(f"{path}: not the checkpoint of an action probe")
    probe = ActionProbe(**checkpoint[CHECKPOINT_KEY])
    weights = checkpoint["state_dict"]
    probe.load_state_dict({k.removeprefix("probe."): v for k, v in weights.items()})
    return probe.eval()


class ActionProbeRegression(Stage):
    """Trains an ``ActionProbe`` on true frames and the actions between them.

    Logs ``val/error``, the mean distance from the true actions in units of half their range, and
    ``val/told``, how often a reading is nearer to its own action than to another clip's.

    Args:
        probe: The probe.
        noise: Standard deviation of the noise that training adds to pixels in [0, 1], so that the
            probe can also read frames that a tokenizer has drawn.
        **stage: See ``Stage``.
    """

    monitor = "val/error"

    def __init__(self, probe: ActionProbe, noise: float = 0.02, **stage: Any) -> None:
        super().__init__(**stage)
        self.save_hyperparameters()
        self.probe = probe
        self.noise = noise

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        frames = batch["frames"].float() / 255
        frames = frames + self.noise * torch.randn_like(frames)
        loss = F.l1_loss(self.probe(frames), self.probe.scaled(batch["actions"][:, :-1]))
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int, prefix: str = "val") -> None:
        done = self.probe.scaled(batch["actions"][:, :-1])
        error, told = read_errors(self.probe(batch["frames"].float() / 255), done)
        logged = {f"{prefix}/error": error.mean()}
        if not told.isnan().all():
            logged[f"{prefix}/told"] = told.nanmean()
        size = len(batch["frames"])
        self.log_dict(logged, batch_size=size, sync_dist=True, prog_bar=True)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.validation_step(batch, batch_idx, prefix="test")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint[CHECKPOINT_KEY] = self.probe.config

    def check_compatible(self, checkpoint: dict[str, Any], path: Path) -> None:
        if checkpoint.get(CHECKPOINT_KEY) != self.probe.config:
            raise ValueError(f"{path}: not the checkpoint of an action probe of the same settings")
