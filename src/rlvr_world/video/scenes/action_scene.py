"""Whether predicted frames show the action, as an inverse model reads it, without a simulator."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from rlvr_world.evaluation.columns import SceneMetrics
from rlvr_world.frozen import Frozen
from rlvr_world.types import Batch
from rlvr_world.video.scenes.action_probe import ActionProbe, read_errors

LABELS = {
    "action_error": "read action error",
    "action_told": "nearer to its own action",
    "action_floor": "read action floor",
    "action_told_floor": "nearer to its own action, true frames",
}


class ActionScene(SceneMetrics):
    """What a probe, trained on real frames, reads off the frames before and after each action.

    For data of which no simulator can say what other actions would have done. Means over the
    predicted frames:

    - ``action_error``: distance of the action that is read from the one that was done, in units of
      half its range.
    - ``action_told``: how often it is nearer to the action done than to that of another transition
      of the batch. One half is chance, and what a model gets that does not look at actions, unless
      the given frames tell the action already.
    - ``action_floor`` and ``action_told_floor``: the same of the true frames, which is how good the
      probe is.

    Args:
        probe: Checkpoint of a trained ``ActionProbeRegression``.
    """

    labels = LABELS
    higher_is_better: Mapping[str, bool] = {name: "told" in name for name in LABELS}

    def __init__(self, probe: Path | ActionProbe) -> None:
        self.probe = Frozen(probe if isinstance(probe, ActionProbe) else ActionProbe.load(probe))

    def score(self, prediction: Tensor, batch: Batch) -> dict[str, Tensor]:
        frames, group = prediction.shape[1], len(prediction) // len(batch["frames"])
        probe = self.probe.on(prediction.device)
        true = batch["frames"][:, -frames - 1 :].float() / 255
        done = probe.scaled(batch["actions"][:, -frames - 1 : -1])
        first = true[:, :1].repeat_interleave(group, dim=0)
        own = read_errors(probe(torch.cat([first, prediction.float()], dim=1)), done)
        floor = (each.repeat_interleave(group, dim=0) for each in read_errors(probe(true), done))
        return dict(zip(LABELS, (each.nanmean(dim=1) for each in (*own, *floor)), strict=True))
