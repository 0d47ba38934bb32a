"""Rewards for answers about the next states of text games, by a strict or the original's rule."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from rlvr_world.rewards.reward import Reward, group_size
from rlvr_world.states.answer import Form
from rlvr_world.states.judge import Judge, Rule
from rlvr_world.states.judgement import UNREADABLE, Judgement, Reason
from rlvr_world.states.text_game import Transition


class TextGameReward(Reward):
    """A number that follows from the judgement of an answer.

    Rewards with the same arguments share what they find, so that a set of them judges each answer
    once.

    Args:
        judge: ``strict`` judges the whole next state, ``upstream`` as the original does.
        form: Whether answers say the difference or the whole next state.
        characters: A longer answer is not read and scores 0.
        seconds: An answer that takes longer to judge, in processor time, scores 0.
        weight: Factor in the total reward.
    """

    def __init__(
        self,
        judge: Rule = "strict",
        form: Form = "difference",
        characters: int = 65_536,
        seconds: float = 1.0,
        weight: float = 1.0,
    ) -> None:
        super().__init__(weight)
        self.judge = Judge(judge, form, characters, seconds)

    @property
    def label(self) -> str:
        """The metric, and the rule unless it is the strict one."""
        name = type(self).__name__
        return name if self.judge.rule == "strict" else f"{name} ({self.judge.rule})"

    @abstractmethod
    def value(self, judgement: Judgement) -> float:
        """The score that a judgement is worth."""

    def judgements(
        self, prediction: Sequence[str], target: Sequence[Transition]
    ) -> list[Judgement]:
        """What the judge finds in each of B * G answers, G neighbours to each of B transitions."""
        group = group_size(prediction, target)
        return [self.judge(text, target[i // group]) for i, text in enumerate(prediction)]

    def reasons(self, prediction: Sequence[str], target: Sequence[Transition]) -> list[Reason]:
        """Why each of B * G answers is right or not; ``over the limit`` counts the stopped ones."""
        return [judgement.reason for judgement in self.judgements(prediction, target)]

    def score(self, prediction: Sequence[str], target: Sequence[Transition]) -> Tensor:
        """The score of each of B answers, [B] float32, on the metric's device."""
        values = [self.value(judgement) for judgement in self.judgements(prediction, target)]
        return torch.tensor(values, dtype=torch.float32, device=self.total.device)


class StateMatch(TextGameReward):
    """1 if the next state is right, else 0: the paper's binary reward and its accuracy."""

    def value(self, judgement: Judgement) -> float:
        """1 or 0."""
        return float(judgement.reason == "right")


class TaskSpecific(TextGameReward):
    """Equation 4 of the paper, which weighs what changes: in [0, 1.3], 0.3 if nothing changes."""

    def value(self, judgement: Judgement) -> float:
        """The reward in [0, 1.3]."""
        return judgement.task_specific


class ValidJSON(TextGameReward):
    """1 if JSON was read, of whatever shape and with whatever repair the rule knows, else 0."""

    def value(self, judgement: Judgement) -> float:
        """1 or 0."""
        return float(judgement.reason not in UNREADABLE)
