"""Columns that see more than a reward: the simulator's state, or all predictions together."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor

from rlvr_world.types import Batch, Prediction


class SceneMetrics(ABC):
    """Metrics of the objects in a prediction against the true state of the scene."""

    labels: Mapping[str, str]
    """The heading of each metric, with its unit."""

    higher_is_better: Mapping[str, bool]
    """The good direction of each metric."""

    grouping: str | None = None
    """What transitions are grouped by, such as ``game``; None without groups."""

    macro: Mapping[str, str] = {}
    """Further metrics, which are means over groups of another metric's means: its name by theirs.
    They have a label and a direction, and ``score`` leaves them out."""

    def groups(self, batch: Batch) -> list[str]:
        """The group of each of B transitions; all in one without ``grouping``."""
        return ["all" for _ in batch["key"]]

    @abstractmethod
    def score(self, prediction: Prediction, batch: Batch) -> dict[str, Tensor]:
        """Each metric of each of B * G predictions for B transitions, [B * G].

        Transition b belongs to the predictions b * G to b * G + G - 1. NaN where a metric does not
        apply; the table leaves such predictions out of its mean.
        """

    def note(self, scores: Mapping[str, float]) -> str:
        """What a picture says of one prediction with these scores."""
        return ", ".join(f"{name} {value:.2g}" for name, value in scores.items())


class SetDistance(ABC):
    """A distance of all predictions of a row, as a set, to the set of true next states."""

    name: str
    """The name of the column."""

    label: str
    """Its heading."""

    @abstractmethod
    def features(self, states: Prediction) -> Tensor:
        """What is compared of N predicted or true states, [N, D]."""

    @abstractmethod
    def distance(self, predicted: Tensor, true: Tensor) -> Tensor:
        """How far features [N, D] are from features [M, D]; 0 for equal sets, a scalar."""
