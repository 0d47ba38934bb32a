"""The columns of a table: metrics, the training reward, the scene, and sets of predictions."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from rlvr_world.reward import Reward, RewardSet
from rlvr_world.types import Batch, Prediction

NLL, REWARD = "nll", "reward"
PLAIN = (bool, int, float, str, tuple, list, dict, type(None), torch.dtype)


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

    def references(self, batch: Batch, target: Prediction) -> Mapping[str, Mapping[str, Tensor]]:
        """Rows of what is knowable without a model: some metrics of each of B transitions, [B].

        There are none by default.
        """
        return {}

    def note(self, scores: Mapping[str, float]) -> str:
        """What a picture says of one prediction with these scores."""
        return ", ".join(f"{name} {value:.2g}" for name, value in scores.items())


def by_frame(name: str, errors: Tensor, frames: int) -> dict[str, Tensor]:
    """Errors [N, F] as the columns of the first ``frames`` predicted frames, each [N], from 1."""
    if errors.shape[1] < frames:
        raise ValueError(
            f"scene.frames is {frames}, but only {errors.shape[1]} frames are predicted; lower it"
        )
    return {f"{name}_{step}": errors[:, step - 1] for step in range(1, frames + 1)}


def frame_labels(name: str, label: str, frames: int) -> dict[str, str]:
    """The headings of the columns of ``by_frame``."""
    return {f"{name}_{step}": f"{label}, frame {step}" for step in range(1, frames + 1)}


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


class Scorer:
    """Scores predictions by metrics, by the training reward and by the objects in the scene.

    Without ``rewards``, the terms of the training reward, it has no column. A term that equals a
    metric of the same name in all but its weight is computed once.
    """

    def __init__(
        self,
        metrics: Mapping[str, Reward],
        rewards: Mapping[str, Reward],
        scene: SceneMetrics | None = None,
    ) -> None:
        self.metrics, self.rewards, self.scene = dict(metrics), dict(rewards), scene
        columns = [*metrics, NLL, REWARD, *(scene.labels if scene else ())]
        for name in columns:
            if columns.count(name) > 1:
                raise ValueError(f"metrics: the name {name} is taken by another column; rename it")

    @property
    def labels(self) -> dict[str, str]:
        labels = {name: metric.label for name, metric in self.metrics.items()}
        labels |= {NLL: "NLL (nats)"} | ({REWARD: "reward"} if self.rewards else {})
        return labels | dict(self.scene.labels if self.scene else {})

    @property
    def higher_is_better(self) -> dict[str, bool]:
        better = {name: bool(metric.higher_is_better) for name, metric in self.metrics.items()}
        better |= {NLL: False} | ({REWARD: True} if self.rewards else {})
        return better | dict(self.scene.higher_is_better if self.scene else {})

    def scores(self, prediction: Prediction, target: Prediction, batch: Batch) -> dict[str, Tensor]:
        """Every column but the NLL for B * G predictions of B transitions, [B * G] on the CPU."""
        scores = RewardSet(self.metrics).scores(prediction, target, batch)
        if self.rewards:
            scores[REWARD] = self.reward(prediction, target, batch, scores)
        if self.scene is not None:
            scores |= self.scene.score(prediction, batch)
        return {name: values.cpu() for name, values in scores.items()}

    def reward(
        self,
        prediction: Prediction,
        target: Prediction,
        batch: Batch,
        known: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """The training reward, [B * G]; ``known`` holds scores of metrics, which may be terms."""
        shared = {
            name: values
            for name, values in (known or {}).items()
            if name in self.rewards and identity(self.rewards[name]) == identity(self.metrics[name])
        }
        own = RewardSet({name: term for name, term in self.rewards.items() if name not in shared})
        return RewardSet(self.rewards).total(shared | own.scores(prediction, target, batch))


def identity(metric: Reward) -> tuple[type[Reward], str, dict[str, object]]:
    """The class, the label and the plain public settings of a metric, except for the weight."""
    plain: dict[str, object] = {
        name: value
        for name, value in vars(metric).items()
        if isinstance(value, PLAIN) and not name.startswith("_") and name != "weight"
    }
    return type(metric), metric.label, plain
