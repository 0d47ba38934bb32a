"""Metrics of PushT's agent and block in predicted frames, read off their colours."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlvr_world.evaluation.columns import SceneMetrics, by_frame, frame_labels
from rlvr_world.types import Batch
from rlvr_world.video.scenes.pusht import (
    View,
    agent_mask,
    block_mask,
    mask_centroid,
    mask_iou,
    pixels_of,
)
from rlvr_world.video.scenes.references import StateReferences

LABELS = {
    "agent_missing": "agent missing",
    "agent_error": "agent error px",
    "block_missing": "block missing",
    "block_error": "block error px",
    "block_iou": "block IoU",
}
LEAST_PIXELS = 4
"""Fewer pixels of an agent's colours are no agent."""

Masks = NDArray[np.bool_]
Scores = dict[str, NDArray[np.float64]]


class PushTScene(SceneMetrics):
    """Whether PushT's agent, which the action moves, and its block are there, and how far off.

    What is true is drawn from the state; what is predicted are the pixels with a thing's colours.
    The agent hides what is under it, so its true disc counts in no metric of the block. All metrics
    are means over the predicted frames; a thing that is wholly out of view is left out.

    - ``agent_missing``: share of frames with fewer than 4 pixels of the agent.
    - ``agent_error``: distance in pixels between the centroids of true and predicted agent pixels,
      in the frames that show one.
    - ``block_missing``: share of frames with fewer block pixels than ``missing_below`` times those
      of the true block, wherever they are.
    - ``block_error``: the distance as for the agent; a frame without a single block pixel counts
      half the diagonal of the picture (45 pixels at 64 x 64), so erasing the block never pays.
    - ``block_iou``: intersection over union of true and predicted block pixels.

    With ``training`` the rows ``velocity`` and ``states_and_action`` say what is knowable of the
    agent without a picture: see ``StateReferences``.

    Args:
        view: The part of the arena that the pictures show; that of the recording.
        missing_below: Share of the true block's pixels below which it is missing.
        training: Folder of the training episodes.
        frames: Adds the agent's error in each of the first so many predicted frames.
    """

    labels: Mapping[str, str] = LABELS

    def __init__(
        self,
        view: View = View(),  # noqa: B008
        missing_below: float = 0.25,
        training: Path | None = None,
        frames: int = 0,
    ) -> None:
        self.frames = frames
        self.labels = LABELS | frame_labels("agent_error", LABELS["agent_error"], frames)
        self.higher_is_better = {name: name == "block_iou" for name in self.labels}
        self.view = view
        self.missing_below = missing_below
        self.known = None
        if training is not None:
            self.known = StateReferences(training, columns=[0, 1], scale=1 / view.scale)

    def references(self, batch: Batch, target: Tensor) -> dict[str, dict[str, Tensor]]:
        """What regressions say of the agent where it is in view."""
        if self.known is None:
            return {}
        frames = target.shape[1]
        states = batch["states"][:, -frames:].cpu().numpy()
        unseen = torch.from_numpy(~agent_mask(states[..., :2], self.view).any(axis=(-2, -1)))
        errors = self.known.errors(batch, frames)
        return {
            row: self.whole({"agent_error": error.masked_fill(unseen, torch.nan)})
            for row, error in errors.items()
        }

    def whole(self, scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scores of frames [N, F] as those of predictions, and of the agent by frame."""
        by_step = by_frame("agent_error", scores["agent_error"], self.frames)
        return {name: values.nanmean(dim=1) for name, values in scores.items()} | by_step

    def score(self, prediction: Tensor, batch: Batch) -> dict[str, Tensor]:
        if "states" not in batch:
            raise ValueError("scene: PushTScene needs the simulator's states; the data has none")
        size = self.view.image_size
        if prediction.shape[-2:] != (size, size):
            raise ValueError(
                f"scene.view.image_size is {size}, but the frames are "
                f"{prediction.shape[-2]}x{prediction.shape[-1]}"
            )
        states = batch["states"][:, -prediction.shape[1] :].cpu().numpy()  # [B, F, 5]
        frames = prediction.cpu().numpy()  # [B * G, F, 3, H, W]
        agent = agent_mask(states[..., :2], self.view)
        block = (block_mask(states[..., 2:], self.view, samples=1) > 0) & ~agent  # [B, F, H, W]
        agent, block = (mask.repeat(len(frames) // len(mask), axis=0) for mask in (agent, block))
        scores = agent_scores(pixels_of("agent", frames), agent)
        scores |= block_scores(pixels_of("block", frames) & ~agent, block, self.missing_below)
        return self.whole({name: torch.from_numpy(v).float() for name, v in scores.items()})

    def note(self, scores: Mapping[str, float]) -> str:
        missing = [thing for thing in ("agent", "block") if scores[f"{thing}_missing"] == 1]
        if missing:
            return f"{' and '.join(missing)} missing"
        return f"agent {scores['agent_error']:.1f}, block {scores['block_error']:.1f} px"


def agent_scores(shown: Masks, true: Masks) -> Scores:
    """The agent's metrics of frames from masks [N, F, H, W], [N, F]; NaN where one is not there."""
    in_view, seen = true.any(axis=(-2, -1)), shown.sum(axis=(-2, -1)) >= LEAST_PIXELS
    distance = np.linalg.norm(mask_centroid(shown) - mask_centroid(true), axis=-1)
    return {
        "agent_missing": np.where(in_view, ~seen, np.nan),
        "agent_error": np.where(in_view & seen, distance, np.nan),
    }


def block_scores(shown: Masks, true: Masks, missing_below: float) -> Scores:
    """The block's metrics of frames from masks [N, F, H, W], [N, F]; NaN without a true block."""
    area, true_area = shown.sum(axis=(-2, -1)), true.sum(axis=(-2, -1))
    distance = np.linalg.norm(mask_centroid(shown) - mask_centroid(true), axis=-1)
    diagonal = np.hypot(*shown.shape[-2:])
    scores = {
        "block_missing": (area < missing_below * true_area).astype(np.float64),
        "block_error": np.where(area > 0, distance, diagonal / 2),
        "block_iou": mask_iou(shown, true),
    }
    return {name: np.where(true_area > 0, values, np.nan) for name, values in scores.items()}
