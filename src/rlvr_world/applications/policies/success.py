"""A classifier of frames: is the task done?"""

import torch
from torch import Tensor

from rlvr_world.applications.policies.picture_network import trained
from rlvr_world.applications.policies.rollouts import Film


class SuccessClassifier:
    """Judges frames of one task as the simulator judged those that it was trained on.

    Args:
        films: Real rollouts, of each of which the second half of the frames is learned.
        steps: Batches of training.
        seed: Of the training.

    Raises:
        ValueError: All frames are of one kind.
    """

    def __init__(self, films: list[Film], steps: int, seed: int = 0) -> None:
        frames, done = [], []
        for film in films:
            assert film.success is not None
            half = film.success.shape[1] // 2
            frames.append(film.frames[:, half:].flatten(0, 1))
            done.append(film.success[:, half:].flatten())
        labels = torch.cat(done).float()[:, None]
        if labels.min() == labels.max():
            raise ValueError("examples: the task is always done or never; give more, or more steps")
        self.network = trained(torch.cat(frames), labels, steps, seed, binary=True)

    @torch.no_grad()
    def __call__(self, frames: Tensor) -> Tensor:
        """Whether the task is done in frames uint8 [B, 3, H, W], [B] bool."""
        return self.network(frames)[:, 0] > 0


def accuracies(said: Tensor, true: Tensor) -> dict[str, float]:
    """Accuracy in percent, the same with success and failure counting alike, and the counts."""
    right = (said == true).float()
    kinds = [right[true == kind].mean().item() for kind in (True, False) if (true == kind).any()]
    return {
        "accuracy": 100 * right.mean().item(),
        "balanced": 100 * sum(kinds) / len(kinds),
        "successes": int(true.sum()),
        "films": len(true),
    }
