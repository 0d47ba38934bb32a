"""Predictions that are made in another way than by drawing each one's tokens in a row."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch

from rlvr_world.reward import RewardSet
from rlvr_world.types import Batch, Prediction

if TYPE_CHECKING:
    from rlvr_world.modules.world_model import WorldModel


class PredictionRule(ABC):
    """How predictions are made of what a model samples; takes a ``Sampler``'s place in tables."""

    is_exact = False
    """Whether predictions follow the model's own distribution."""

    is_certain = False
    """Whether all predictions of a transition are the same one."""

    has_likelihood = True
    """Whether the model tells how likely the truth is as one sequence."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, float | int | None]:
        """What a table says of it."""

    @abstractmethod
    def at(self, temperature: float, top_k: int | None) -> "PredictionRule":
        """The same rule on what is sampled in another way."""

    @abstractmethod
    def predict(
        self,
        model: "WorldModel",
        batch: Batch,
        rewards: RewardSet,
        count: int = 1,
        generator: torch.Generator | None = None,
    ) -> Prediction:
        """``count`` predictions of each of B transitions, [B * count]."""
