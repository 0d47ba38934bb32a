"""Rewards for answers about what changes on web pages, by a strict or the original's rule."""

from typing import Any

from rlvr_world.language.judge import Rule
from rlvr_world.language.rewards import AnswerReward
from rlvr_world.web.judge import WebJudge, WebJudgement
from rlvr_world.web.page import WebTransition
from rlvr_world.web.prompt import page_answer


class WebPageReward(AnswerReward):
    """A number that follows from the items that an answer has right.

    Rewards with the same arguments share what they find, so that a set of them judges each answer
    once.

    Args:
        judge: ``strict`` counts the items of the final answer, ``upstream`` as the original does.
        weight: Factor in the total reward.
        **limits: See ``Judge``; an answer that exceeds them scores 0.
    """

    def __init__(self, judge: Rule = "strict", weight: float = 1.0, **limits: Any) -> None:
        super().__init__(WebJudge(judge, **limits), weight)

    def shown(self, transition: WebTransition) -> tuple[str, str, str]:
        return transition.tree, transition.action, page_answer(transition, "long")


class ItemF1(WebPageReward):
    """The F1 of items over all sections: the paper's reward and its metric; in [0, 1]."""

    def value(self, judgement: WebJudgement) -> float:
        return judgement.f1


class ItemPrecision(WebPageReward):
    """The share of an answer's items that are right; in [0, 1]."""

    def value(self, judgement: WebJudgement) -> float:
        return judgement.precision


class ItemRecall(WebPageReward):
    """The share of the true items that an answer has; in [0, 1]."""

    def value(self, judgement: WebJudgement) -> float:
        return judgement.recall


class PageMatch(WebPageReward):
    """1 if the answer has all true items and no other, else 0."""

    def value(self, judgement: WebJudgement) -> float:
        return float(judgement.reason == "right")
