"""Minimum Bayes risk: of several sampled predictions the one that is most like the others."""

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rlvr_world.codec import Codec
from rlvr_world.modules.prediction_rule import PredictionRule
from rlvr_world.modules.scoring import rows_of
from rlvr_world.reward import RewardSet, group_size, repeat
from rlvr_world.rl.budget import check_positive
from rlvr_world.rl.sampler import Sampler
from rlvr_world.types import Batch, Prediction

if TYPE_CHECKING:
    from rlvr_world.modules.world_model import WorldModel


class MinimumBayesRisk(PredictionRule):
    """Takes, of N sampled predictions, the one with the best mean reward against the others.

    Each of the others stands in for the truth once, so this is the prediction that the model itself
    expects to score best, without any training (Kumar and Byrne, 2004). Where the reward is exact
    match it is a vote. A prediction costs N samples and N * N scores.

    Args:
        samples: N, the number of predictions to choose from.
        at_once: The most predictions that are sampled, decoded and scored at once; all N of a
            prompt are together.
        **settings: How they are sampled, see ``Sampler``.
    """

    def __init__(self, samples: int = 16, at_once: int = 256, **settings: Any) -> None:
        if samples < 2:
            raise ValueError(f"samples must be at least 2 to compare them, got {samples}")
        check_positive(at_once=at_once)
        self.samples, self.at_once = samples, at_once
        self.sampler = Sampler(**settings)

    @property
    def settings(self) -> dict[str, float | int | None]:
        return self.sampler.settings | {"mbr": self.samples}

    def at(self, temperature: float, top_k: int | None) -> "MinimumBayesRisk":
        other = copy.copy(self)
        other.sampler = self.sampler.at(temperature, top_k)
        return other

    def predict(
        self,
        model: "WorldModel",
        batch: Batch,
        rewards: RewardSet,
        count: int = 1,
        generator: torch.Generator | None = None,
    ) -> Prediction:
        """Choose ``count`` predictions of each of B transitions, [B * count], each for itself.

        Raises:
            ValueError: There is no reward to compare by.
        """
        prompts, parts = repeat(batch, count), []
        total, step = len(prompts["key"]), max(1, self.at_once // self.samples)
        for start in range(0, total, step):
            rows = slice(start, start + step)
            part = {name: rows_of(field, rows, total) for name, field in prompts.items()}
            sequence, _ = model.sample(part, self.sampler, self.samples, generator)
            drawn = model.codec.decode(sequence)
            parts.append(rows_at(drawn, self.best(drawn, model.codec, part, rewards)))
        if isinstance(parts[0], Tensor):
            return torch.cat(parts)
        return [state for part in parts for state in part]

    def best(self, drawn: Prediction, codec: Codec, batch: Batch, rewards: RewardSet) -> Tensor:
        """Where among the B * N predictions of B transitions the best of each is, [B]."""
        values = mean_rewards(drawn, codec, batch, rewards)
        first = torch.arange(len(values), device=values.device) * values.shape[1]
        return first + values.argmax(dim=1)


def mean_rewards(drawn: Prediction, codec: Codec, batch: Batch, rewards: RewardSet) -> Tensor:
    """The mean reward of each of N predictions of B transitions against the others, [B, N].

    Args:
        drawn: B * N predictions, those of a transition being neighbours.
        codec: Takes predictions for true states.
        batch: The batch of the B transitions, whose true next states are left out.
        rewards: What predictions are compared by.
    """
    if not rewards.weight:
        raise ValueError(
            "MinimumBayesRisk: predictions are compared by their rewards, and there are none: give "
            "`rewards`, or take another sampler"
        )
    size = group_size(drawn, batch["key"])
    truths = codec.as_target(drawn, batch)
    readable = torch.tensor([state is not None for state in truths]).unflatten(0, (-1, size))
    if not readable.any():
        return torch.zeros(readable.shape)
    if not readable.all():  # what stands there instead is not counted
        any_state = next(state for state in truths if state is not None)
        truths = [any_state if state is None else state for state in truths]
    found = rewards.mutual(drawn, truths, codec.given(batch))
    others = ~torch.eye(size, dtype=torch.bool, device=found.device)
    counted = others & readable[:, None].to(found.device)
    return (found * counted).sum(dim=2) / counted.sum(dim=2).clamp(min=1)


def rows_at(drawn: Prediction, rows: Tensor) -> Prediction:
    """The predictions at some rows, of a tensor or a list."""
    return drawn[rows] if isinstance(drawn, Tensor) else [drawn[row] for row in rows.tolist()]
