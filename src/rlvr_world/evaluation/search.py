"""The sampler settings with the best reward on validation data."""

from dataclasses import dataclass, field, replace

import torch
from rich.progress import Progress

from rlvr_world.evaluation.examples import Examples
from rlvr_world.evaluation.rows import ModelRow
from rlvr_world.evaluation.scorer import Scorer
from rlvr_world.rl.sampler import Sampler
from rlvr_world.types import Batch


@dataclass
class SamplerSearch:
    """A grid of sampler settings, searched for the highest training reward.

    Args:
        temperatures: Temperatures to try; 0 takes the most likely token and needs no top-k.
        top_ks: Values of top-k to try; null draws from all tokens.
        limit: Number of validation transitions that each setting is tried on, the first ones.
    """

    temperatures: list[float] = field(default_factory=lambda: [0.0, 0.3, 0.5, 0.7, 0.85, 1.0])
    top_ks: list[int | None] = field(default_factory=lambda: [None, 2, 5, 20])
    limit: int = 128

    def __post_init__(self) -> None:
        if not (self.temperatures and self.top_ks and self.limit > 0):
            raise ValueError(
                "search: temperatures and top_ks must not be empty, limit must be at least 1"
            )

    @property
    def samplers(self) -> list[Sampler]:
        warm = [(t, k) for t in self.temperatures if t > 0 for k in self.top_ks]
        greedy = [(0.0, None)] if 0 in self.temperatures else []
        return [Sampler(temperature, top_k) for temperature, top_k in greedy + warm]

    def best(
        self, row: ModelRow, examples: Examples, scorer: Scorer, progress: Progress
    ) -> Sampler:
        """The sampler of the grid with the highest mean reward of one prediction per transition."""
        batches = list(examples.batches("val", self.limit))
        tracked = progress.track(self.samplers, description="tuning the sampler")
        return max(tracked, key=lambda s: mean_reward(replace(row, sampler=s), batches, scorer))


def mean_reward(row: ModelRow, batches: list[Batch], scorer: Scorer) -> float:
    """The mean training reward over transitions of one sampled prediction each."""
    rewards, codec = [], row.model.codec
    for seed, batch in enumerate(batches):
        prediction = row.predict(codec.template(batch), 1, row.generator(seed))
        rewards.append(scorer.reward(prediction, codec.target(batch), batch))
    return torch.cat(rewards).mean().item()
