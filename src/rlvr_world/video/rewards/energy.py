"""The energy score: a reward of a group of predictions that sharpening does not win."""

import torch
from torch import Tensor

from rlvr_world.reward import Reward, group_size
from rlvr_world.types import WHOLE, Batch, Detail, Prediction


class EnergyScore(Reward):
    """The distance to the truth, less the mean distance to the other members of the group.

    Predictions that are all alike gain nothing by being so: the group is worth most when it is as
    spread as the truth is. The policy gradient of this reward is that of the energy score (Gneiting
    and Raftery 2007), ``E d(X, y) - E d(X, X') / 2``: a prediction is in both places of a pair, so
    its own share of the half is the whole mean. The score is proper for the Euclidean norm to a
    power below 2, and tells means alone apart at 2. A single prediction, as in validation and
    tables, scores its distance, which sharpening wins: look at the distance of whole clips there.

    Args:
        distance: A metric where smaller is better and 0 means equal.
        power: To which the distance is taken; 0.5 where it is a square, as ``MSE`` and ``LPIPS``.
        weight: Factor in the total reward.
    """

    higher_is_better = False
    needs_whole_groups = True

    def __init__(self, distance: Reward, power: float = 0.5, weight: float = 1.0) -> None:
        super().__init__(weight)
        if distance.higher_is_better or not 0 < power <= 1:
            raise ValueError(
                "EnergyScore needs a distance, where smaller is better, and a power above 0 and up "
                f"to 1, not {distance.label} and {power:g}"
            )
        self.distance = distance
        self.power = power

    @property
    def label(self) -> str:
        return f"EnergyScore ({self.distance.label})"

    def score(self, prediction: Prediction, target: Prediction, given: Batch) -> Tensor:
        return self.scores(prediction, target, given)

    def scores(
        self, prediction: Prediction, target: Prediction, given: Batch, detail: Detail = WHOLE
    ) -> Tensor:
        group = group_size(prediction, target)
        total = self.between(prediction, target, given, detail)
        for member in range(group if group > 1 else 0):
            one = prediction[member::group]
            fixed = one.detach() if isinstance(one, Tensor) else one
            gap = self.between(prediction, fixed, given, detail)
            is_other = torch.arange(len(gap), device=gap.device) % group != member
            shape = (-1, *[1] * (gap.ndim - 1))
            total = total - gap * is_other.view(shape) / (group - 1)
        return total

    def between(
        self, prediction: Prediction, target: Prediction, given: Batch, detail: Detail
    ) -> Tensor:
        """The distance of B * G predictions to B others, to the power."""
        distance = self.distance.scores(prediction, target, given, detail)
        return distance.clamp(min=1e-12) ** self.power
