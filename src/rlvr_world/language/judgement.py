"""What judging an answer about the next state of a text game finds."""

from typing import Literal, NamedTuple

Reason = Literal["right", "wrong state", "wrong shape", "not JSON", "no answer", "over the limit"]
"""Right, or why not."""

UNREADABLE: tuple[Reason, ...] = ("not JSON", "no answer", "over the limit")
"""The reasons of answers in which no JSON was read."""


class Judgement(NamedTuple):
    """What a judge found.

    Args:
        reason: ``right``, or why not.
        share: Facts that the answer has right, of those that the judge compares, in [0, 1].
        task_specific: The reward of Equation 4, in [0, 1.3].
    """

    reason: Reason
    share: float = 0.0
    task_specific: float = 0.0


def equation_4(objects: float, score: float, right: bool, changed: float | None) -> float:
    """The task-specific reward of the paper (Wu et al., 2025), in [0, 1.3].

    Args:
        objects: Share of right facts about objects.
        score: Share of right facts about the score.
        right: Whether the answer is right.
        changed: Share of right facts among those that change, or None if nothing does.
    """
    base = objects * 0.09 + score * 0.01 + 0.2 * right
    return base if changed is None else base + changed
