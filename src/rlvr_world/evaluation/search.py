"""The sampler settings with the best reward on validation clips."""

from dataclasses import dataclass, field, replace

import torch
from rich.progress import Progress

from rlvr_world.evaluation.clips import Clips
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
        clips: Number of validation clips that each setting is tried on, the first ones.
    """

    temperatures: list[float] = field(default_factory=lambda: [0.0, 0.3, 0.5, 0.7, 0.85, 1.0])
    top_ks: list[int | None] = field(default_factory=lambda: [None, 2, 5, 20])
    clips: int = 128

    def __post_init__(self) -> None:
        if not (self.temperatures and self.top_ks and self.clips > 0):
            raise ValueError("search: temperatures, top_ks and clips must not be empty")

    @property
    def samplers(self) -> list[Sampler]:
        """The samplers of the grid."""
        warm = [(t, k) for t in self.temperatures if t > 0 for k in self.top_ks]
        greedy = [(0.0, None)] if 0 in self.temperatures else []
        return [Sampler(temperature, top_k) for temperature, top_k in greedy + warm]

    def best(self, row: ModelRow, clips: Clips, scorer: Scorer, progress: Progress) -> Sampler:
        """The sampler of the grid with the highest mean reward of one prediction per clip."""
        batches = clips.first("val", self.clips)
        rewards = []
        for sampler in progress.track(self.samplers, description="tuning the sampler"):
            rewards.append(mean_reward(replace(row, sampler=sampler), batches, scorer))
        return self.samplers[int(torch.tensor(rewards).argmax())]


def mean_reward(row: ModelRow, batches: list[Batch], scorer: Scorer) -> float:
    """The mean training reward over clips of one sampled prediction each."""
    rewards = []
    for index, batch in enumerate(batches):
        codec, generator = row.model.codec, torch.Generator(row.model.device).manual_seed(index)
        prediction = row.predict(codec.template(batch), 1, generator)
        rewards.append(scorer.reward(prediction, codec.target(batch), batch))
    return torch.cat(rewards).mean().item()
