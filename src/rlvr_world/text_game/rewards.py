"""Rewards for answers about the next states of text games, by a strict or the original's rule."""

import json
from typing import Any

from rlvr_world.language.judge import UNREADABLE, Rule
from rlvr_world.language.rewards import AnswerReward
from rlvr_world.language.transition import Form
from rlvr_world.text_game.facts import Judgement
from rlvr_world.text_game.judge import TextGameJudge
from rlvr_world.text_game.transition import Transition


class TextGameReward(AnswerReward):
    """A number that follows from the judgement of an answer.

    Args:
        judge: ``strict`` judges the whole next state, ``upstream`` as the original does.
        form: Whether answers say the difference or the whole next state.
        weight: Factor in the total reward.
        **limits: See ``Judge``; an answer that exceeds them scores 0.
    """

    def __init__(
        self,
        judge: Rule = "strict",
        form: Form = "difference",
        weight: float = 1.0,
        **limits: Any,
    ) -> None:
        super().__init__(TextGameJudge(judge, form=form, **limits), weight)

    def shown(self, transition: Transition) -> tuple[str, str, str]:
        return json.dumps(transition.state), transition.action, json.dumps(transition.difference)


class StateMatch(TextGameReward):
    """1 if the next state is right, else 0: the paper's binary reward and its accuracy."""

    def value(self, judgement: Judgement) -> float:
        return float(judgement.reason == "right")


class TaskSpecific(TextGameReward):
    """Equation 4 of the paper, which weighs what changes: in [0, 1.3], 0.3 if nothing changes."""

    def value(self, judgement: Judgement) -> float:
        return judgement.task_specific


class ValidJSON(TextGameReward):
    """1 if JSON was read, of whatever shape and with whatever repair the rule knows, else 0."""

    def value(self, judgement: Judgement) -> float:
        return float(judgement.reason not in UNREADABLE)
