"""Whether PushT's block is in a picture, and how far from its true pose."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from rlvr_world.evaluation.columns import SceneMetrics
from rlvr_world.types import Batch
from rlvr_world.video.scenes.pusht import (
    AGENT_RADIUS,
    View,
    block_mask,
    block_pixels,
    mask_centroid,
    mask_iou,
)

LABELS = {
    "block_missing": "block missing",
    "block_error": "block error px",
    "block_iou": "block IoU",
}
HIGHER_IS_BETTER = {"block_missing": False, "block_error": False, "block_iou": True}


class PushTBlock(SceneMetrics):
    """Whether PushT's block is there, and how far from its true place.

    The true block is drawn from the state; the predicted one is what has the block's colours. The
    agent hides what is under it, so the disc of the true agent counts in neither. All three metrics
    are means over the predicted frames; a frame whose block is wholly out of view is left out.

    - ``block_missing``: share of frames with fewer block pixels than ``missing_below`` times those
      of the true block, wherever they are.
    - ``block_error``: distance in pixels between the centroids of true and predicted block pixels.
      A frame without a single block pixel counts half the diagonal of the picture (45 pixels at
      64 x 64), so erasing the block never pays.
    - ``block_iou``: intersection over union of true and predicted block pixels.

    Args:
        view: The part of the arena that the pictures show; that of the recording.
        missing_below: Share of the true block's pixels below which it is missing.
    """

    labels = LABELS
    higher_is_better = HIGHER_IS_BETTER

    def __init__(self, view: View = View(), missing_below: float = 0.25) -> None:  # noqa: B008
        self.view = view
        self.missing_below = missing_below

    def score(self, prediction: Tensor, batch: Batch) -> dict[str, Tensor]:
        if "states" not in batch:
            raise ValueError("scene: PushTBlock needs the simulator's states; the data has none")
        size = self.view.image_size
        if prediction.shape[-2:] != (size, size):
            raise ValueError(
                f"scene.view.image_size is {size}, but the frames are "
                f"{prediction.shape[-2]}x{prediction.shape[-1]}"
            )
        states = batch["states"][:, -prediction.shape[1] :].cpu().numpy()  # [B, F, 5]
        hidden = agent_mask(states[..., :2], self.view)
        true = (block_mask(states[..., 2:], self.view, samples=1) > 0) & ~hidden  # [B, F, H, W]
        shown = block_pixels(prediction.cpu().numpy())  # [B * G, F, H, W]
        group = len(shown) // len(true)
        hidden, true = hidden.repeat(group, axis=0), true.repeat(group, axis=0)
        scores = self.frame_scores(shown & ~hidden, true)
        return {
            name: torch.from_numpy(values).nanmean(dim=1).float() for name, values in scores.items()
        }

    def frame_scores(self, shown: np.ndarray, true: np.ndarray) -> dict[str, np.ndarray]:
        """The metrics of frames from masks [N, F, H, W], [N, F]; NaN without a true block."""
        area, true_area = shown.sum(axis=(-2, -1)), true.sum(axis=(-2, -1))
        distance = np.linalg.norm(mask_centroid(shown) - mask_centroid(true), axis=-1)
        diagonal = np.hypot(*shown.shape[-2:])
        scores = {
            "block_missing": (area < self.missing_below * true_area).astype(np.float64),
            "block_error": np.where(area > 0, distance, diagonal / 2),
            "block_iou": mask_iou(shown, true),
        }
        return {name: np.where(true_area > 0, values, np.nan) for name, values in scores.items()}

    def note(self, scores: Mapping[str, float]) -> str:
        if scores["block_missing"] == 1:
            return "block missing"
        return f"IoU {scores['block_iou']:.2f}, {scores['block_error']:.1f} px"


def agent_mask(positions: np.ndarray, view: View) -> np.ndarray:
    """Which pixels [..., H, W] have their middle in the disc of an agent at [..., 2]."""
    axis = view.origin + (np.arange(view.image_size) + 0.5) * view.scale
    across = np.square(axis - positions[..., :1])[..., None, :]
    down = np.square(axis - positions[..., 1:])[..., :, None]
    return across + down <= AGENT_RADIUS**2
