"""An inverse model: a network that reads off two frames what was done between them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rlvr_world.types import Batch
from rlvr_world.video.scenes.probe import Probe, ProbeRegression


class ActionProbe(Probe):
    """A small convolutional network that reads the action off the frames before and after it.

    Args:
        low: Lower end of the usual range of each number of an action.
        high: Upper end of these ranges.
        frame_size: Height and width of the frames, multiples of 8.
        hidden: Width of the layer behind the convolutions.
    """

    kind = "action probe"

    def __init__(
        self,
        low: Sequence[float],
        high: Sequence[float],
        frame_size: Sequence[int] = (64, 64),
        hidden: int = 256,
    ) -> None:
        if not low or len(low) != len(high) or any(a >= b for a, b in zip(low, high, strict=True)):
            raise ValueError("low and high must be as long, and low below high")
        config = {"low": list(low), "high": list(high)}
        super().__init__(config | {"frame_size": list(frame_size), "hidden": hidden}, channels=6)

    def forward(self, frames: Tensor) -> Tensor:
        """The actions between frames [N, T, 3, H, W] in [0, 1], as ``scaled``, [N, T - 1, A]."""
        self.check_size(frames)
        pairs = torch.cat([frames[:, :-1], frames[:, 1:]], dim=2).flatten(0, 1)
        return self.layers(pairs - 0.5).float().unflatten(0, (len(frames), -1))

    def scaled(self, values: Tensor) -> Tensor:
        """Actions [..., A] in units of their range, which is from -1 to 1."""
        if values.shape[-1] != len(self.low):
            raise ValueError(
                f"the action probe has ranges of {len(self.low)} numbers, but the data's actions "
                f"have {values.shape[-1]}: give low and high of each"
            )
        return super().scaled(values)


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


class ActionProbeRegression(ProbeRegression):
    """Trains an ``ActionProbe`` on true frames and the actions between them.

    Logs ``val/error``, the mean distance from the true actions in units of half their range, and
    ``val/told``, how often a reading is nearer to its own action than to another clip's.

    Args:
        probe: The probe.
        **options: See ``ProbeRegression``.
    """

    def __init__(self, probe: ActionProbe, **options: Any) -> None:
        super().__init__(probe, **options)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        done = self.probe.scaled(batch["actions"][:, :-1])
        loss = F.l1_loss(self.probe(self.noisy(batch)), done)
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
