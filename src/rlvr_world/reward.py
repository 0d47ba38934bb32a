"""What a reward is: a torchmetrics ``Metric`` with one score per sample."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence, Sized

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from rlvr_world.types import Prediction


class Reward(Metric, ABC):
    """A metric of one prediction against the truth, usable as a reward and as an evaluation.

    A subclass writes ``score`` and, where smaller is better, ``higher_is_better = False``. The base
    class keeps the running mean over samples, reduced over ranks, and carries the weight.

    Args:
        weight: Factor of this metric in the total reward of a ``RewardSet``.
    """

    higher_is_better = True
    full_state_update = False

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        if not weight >= 0:
            raise ValueError(
                f"{type(self).__name__}: weight must be at least 0, got {weight}; the sign of the "
                "reward follows from higher_is_better"
            )
        self.weight = weight
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0, dtype=torch.long), dist_reduce_fx="sum")

    @property
    def label(self) -> str:
        """The name that stands beside the number in a table."""
        return type(self).__name__

    @abstractmethod
    def score(self, prediction: Prediction, target: Prediction) -> Tensor:
        """The metric of each sample, [B], in its own natural sign and unit."""

    def group_score(self, prediction: Prediction, target: Prediction) -> Tensor:
        """The score of each of B * G predictions against one of B targets, [B * G].

        Target b belongs to the predictions b * G to b * G + G - 1. Repeats the targets; a metric
        that can share its work on a target overrides this.
        """
        group = group_size(prediction, target)
        if group > 1 and isinstance(target, Tensor):
            target = target.repeat_interleave(group, dim=0)
        elif group > 1:
            target = [state for state in target for _ in range(group)]
        return self.score(prediction, target)

    def group_frame_scores(self, prediction: Prediction, target: Prediction) -> Tensor:
        """The metric of each frame of B * G predictions against B targets, [B * G, F].

        Raises:
            ValueError: The metric is not one of single frames.
        """
        raise ValueError(
            f"{self.label} scores whole predictions, not single frames: leave out credit of the "
            "model, or this reward"
        )

    def group_patch_scores(
        self, prediction: Prediction, target: Prediction, grid: Sequence[int]
    ) -> Tensor:
        """The metric around each patch of the frames of B * G predictions, [B * G, F, h, w].

        The mean over patches is the score of the frame, or nearly, where patches share places of a
        feature map. A metric that is not a sum over places has that score everywhere.

        Args:
            prediction: B * G predictions.
            target: B targets.
            grid: Number of patches over the height and the width of a frame.
        """
        scores = self.group_frame_scores(prediction, target)
        return scores[..., None, None].expand(*scores.shape, *grid)

    def update(self, scores: Tensor) -> None:
        """Add per-sample scores [B] to the running mean."""
        self.total += scores.detach().float().sum()
        self.count += scores.numel()

    def compute(self) -> Tensor:
        """The mean over all samples of all ranks since the last reset."""
        return self.total / self.count


def group_size(prediction: Sized, target: Sized) -> int:
    """G, the number of predictions that share one target."""
    if not len(target) or len(prediction) % len(target):
        raise ValueError(
            f"{len(prediction)} predictions for {len(target)} targets: the number of predictions "
            "must be a multiple of the number of targets"
        )
    return len(prediction) // len(target)


class RewardSet(nn.ModuleDict):
    """The weighted sum of named rewards; a metric where smaller is better counts negatively.

    Args:
        rewards: Rewards by the name under which each is logged.
    """

    def __init__(self, rewards: Mapping[str, Reward]) -> None:
        if not rewards:
            raise ValueError("rewards: at least one reward is needed")
        super().__init__(dict(rewards))

    def scores(self, prediction: Prediction, target: Prediction) -> dict[str, Tensor]:
        """Each reward's own score by name, [B * G], of B * G predictions for B targets.

        Target b belongs to the predictions b * G to b * G + G - 1.
        """
        return {name: reward.group_score(prediction, target) for name, reward in self.items()}

    def frame_scores(self, prediction: Prediction, target: Prediction) -> dict[str, Tensor]:
        """Each reward's own score of each frame by name, [B * G, F]."""
        return {name: r.group_frame_scores(prediction, target) for name, r in self.items()}

    def patch_scores(
        self, prediction: Prediction, target: Prediction, grid: Sequence[int]
    ) -> dict[str, Tensor]:
        """Each reward's own score of each patch by name, [B * G, F, h, w]."""
        return {name: r.group_patch_scores(prediction, target, grid) for name, r in self.items()}

    def total(self, scores: Mapping[str, Tensor]) -> Tensor:
        """The reward to maximise, shaped as such scores are."""
        signs = {name: 1.0 if r.higher_is_better else -1.0 for name, r in self.items()}
        return sum(signs[name] * self[name].weight * scores[name] for name in self)
