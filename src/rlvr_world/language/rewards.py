"""Rewards for answers in words, of which a judge says what they are worth and why."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rlvr_world.language.judge import Judge, Reason
from rlvr_world.reward import Reward, group_size, repeat
from rlvr_world.types import Batch


class AnswerReward(Reward):
    """A number that follows from the judgement of an answer.

    Rewards with the same judge share what it finds, so that a set of them judges each answer once.
    """

    def __init__(self, judge: Judge[Any], weight: float = 1.0) -> None:
        super().__init__(weight)
        self.judge = judge

    @property
    def label(self) -> str:
        name = type(self).__name__
        return name if self.judge.rule == "strict" else f"{name} ({self.judge.rule})"

    @abstractmethod
    def value(self, judgement: Any) -> float:
        """The score that a judgement is worth."""

    @abstractmethod
    def shown(self, transition: Any) -> tuple[str, str, str]:
        """The state, the action and the right answer of a transition, for people."""

    def judgements(self, prediction: Sequence[str], target: Sequence[Any]) -> list[Any]:
        return [self.judge(text, step) for text, step in zip(prediction, target, strict=True)]

    def reasons(self, prediction: Sequence[str], target: Sequence[Any]) -> list[Reason]:
        """Why each of B * G answers is right or not; ``over the limit`` counts the stopped ones."""
        steps = repeat(target, group_size(prediction, target))
        return [judgement.reason for judgement in self.judgements(prediction, steps)]

    def score(
        self, prediction: Sequence[str], target: Sequence[Any], given: Batch | None = None
    ) -> Tensor:
        values = [self.value(judgement) for judgement in self.judgements(prediction, target)]
        return torch.tensor(values, dtype=torch.float32, device=self.total.device)
