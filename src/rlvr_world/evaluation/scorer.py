"""All columns of a table for one prediction."""

from collections.abc import Mapping

import torch
from torch import Tensor

from rlvr_world.evaluation.columns import SceneMetrics
from rlvr_world.reward import Reward, RewardSet
from rlvr_world.types import Batch, Prediction

NLL, REWARD = "nll", "reward"
PLAIN = (bool, int, float, str, tuple, list, dict, type(None), torch.dtype)


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
