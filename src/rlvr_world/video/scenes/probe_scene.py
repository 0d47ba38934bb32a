"""Metrics of the places of things in predicted frames, as a probe reads them."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from rlvr_world.evaluation.columns import SceneMetrics, by_frame, frame_labels
from rlvr_world.frozen import Frozen
from rlvr_world.types import Batch
from rlvr_world.video.scenes.references import StateReferences
from rlvr_world.video.scenes.state_probe import StateProbe, distances


class ProbeScene(SceneMetrics):
    """How far things are from where the simulator says they are, as a probe reads the pictures.

    For each part of the probe, over the predicted frames:

    - ``{part}_error``: mean distance of the place in the prediction from the true one.
    - ``moving_{part}_error``: the same over the clips in which the thing gets over ``moving`` away
      from where it was in the last given frame.
    - ``{part}_floor``: the probe's own error, on the true frames.

    With ``training`` the rows ``velocity`` and ``states_and_action`` say what is knowable of the
    ``controlled`` part without a picture: see ``StateReferences``.

    Args:
        probe: Checkpoint of a trained ``StateProbeRegression``, which no reward has used.
        unit: The unit of the table.
        per_state_unit: How many of them make a unit of the state; 100 for states in metres.
        moving: The distance in the table's unit over which a thing counts as moving.
        controlled: The part that the action moves.
        training: Folder of the training episodes.
        frames: Adds the controlled part's error in each of the first so many predicted frames.
    """

    def __init__(
        self,
        probe: Path | StateProbe,
        unit: str = "cm",
        per_state_unit: float = 100.0,
        moving: float = 1.0,
        controlled: str | None = None,
        training: Path | None = None,
        frames: int = 0,
    ) -> None:
        self.probe = Frozen(probe if isinstance(probe, StateProbe) else StateProbe.load(probe))
        self.unit, self.per_state_unit, self.moving = unit, per_state_unit, moving
        parts = self.probe.module.config["parts"]
        self.controlled, self.frames, self.known = f"{controlled}_error", frames, None
        if (training is not None or frames) and controlled not in parts:
            raise ValueError(
                f"scene.controlled: give one of {', '.join(parts)}, the part that moves as the "
                f"action says; it is {controlled!r}"
            )
        if training is not None and controlled is not None:
            self.known = StateReferences(training, parts[controlled], per_state_unit)
        self.labels = {
            **{f"{part}_error": f"{part} error {unit}" for part in parts},
            **{f"moving_{part}_error": f"moving {part} error {unit}" for part in parts},
            **{f"{part}_floor": f"{part} probe floor {unit}" for part in parts},
            **frame_labels(self.controlled, f"{controlled} error {unit}", frames),
        }
        self.higher_is_better = dict.fromkeys(self.labels, False)

    def references(self, batch: Batch, target: Tensor) -> dict[str, dict[str, Tensor]]:
        """What regressions say of the controlled part."""
        if self.known is None:
            return {}
        errors = self.known.errors(batch, target.shape[1])
        return {
            row: {self.controlled: error.mean(dim=1)}
            | by_frame(self.controlled, error, self.frames)
            for row, error in errors.items()
        }

    def score(self, prediction: Tensor, batch: Batch) -> dict[str, Tensor]:
        if "states" not in batch:
            raise ValueError("scene: ProbeScene needs the simulator's states; the data has none")
        frames, group = prediction.shape[1], len(prediction) // len(batch["states"])
        probe = self.probe.on(prediction.device)
        seen = probe.truth(batch["states"][:, -frames - 1 :].float())  # [B, 1 + F, K] by part
        true = {part: places[:, 1:] for part, places in seen.items()}
        repeated = {part: places.repeat_interleave(group, dim=0) for part, places in true.items()}
        found = distances(probe.read(prediction), repeated)
        floor = distances(probe.read(batch["frames"][:, -frames:].float() / 255), true)
        scores = {}
        for part, places in seen.items():
            by_step = self.per_state_unit * found[part]
            error = by_step.mean(dim=1)
            travel = (places - places[:, :1]).norm(dim=-1).amax(dim=1)  # the farthest, [B]
            still = (self.per_state_unit * travel <= self.moving).repeat_interleave(group)
            scores[f"{part}_error"] = error
            if f"{part}_error" == self.controlled:
                scores |= by_frame(self.controlled, by_step, self.frames)
            scores[f"moving_{part}_error"] = error.masked_fill(still, torch.nan)
            own = self.per_state_unit * floor[part].mean(dim=1)
            scores[f"{part}_floor"] = own.repeat_interleave(group)
        return scores

    def note(self, scores: Mapping[str, float]) -> str:
        errors = {name: x for name, x in scores.items() if name.endswith("_error")}
        parts = [name for name in errors if not name.startswith("moving_")]
        return ", ".join(f"{p.removesuffix('_error')} {errors[p]:.1f} {self.unit}" for p in parts)
