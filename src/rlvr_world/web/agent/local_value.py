"""A summary and a value that need no language model: they go by the words of the objective."""

import contextlib
import re
from collections.abc import Sequence

from rlvr_world.web.action import Action
from rlvr_world.web.agent.components import Imagined, Situation, Summary, Value
from rlvr_world.web.agent.words import EMPTY, facts, finishes, overlap, wanted_words
from rlvr_world.web.changes import Changes, apply
from rlvr_world.web.sources.policies import is_named, plain, quoted
from rlvr_world.web.tree import Element, line_text

LOWEST, MIDDLE, HIGHEST = 1.0, 3.0, 5.0
NOTHING, UNREADY, READY = 1.5, 1.5, 4.0
GAIN, LOSS, NEWS = 0.75, 1.0, 0.5
MOST_NEWS = 1.5

LONGEST_LINE = 240
WEIGHTS = {"new": 0.25, "deleted": 0.0, "updated": 0.5}
"""By kind of change: what is updated or new matters more than what is deleted."""


class KeyChanges(Summary):
    """The changes that have most to do with the objective, one a line.

    Args:
        most: The number of changes, at most.
    """

    def __init__(self, most: int = 10) -> None:
        if most < 1:
            raise ValueError(f"most must be at least 1, got {most}")
        self.most = most

    def sum_up(self, situation: Situation, action: Action, imagined: Imagined) -> str:
        """Lines such as ``new: [n1] alert 'Saved'``."""
        if imagined.changes is None:
            return f"Nothing can be foreseen: {imagined.error}" if imagined.error else ""
        kinds = zip(WEIGHTS, imagined.changes, strict=True)
        items = [(kind, item) for kind, changed in kinds for item in changed]
        if not items:
            return "Nothing changes."
        objective = situation.observation.objective
        items.sort(key=lambda pair: -overlap(pair[1], objective) - WEIGHTS[pair[0]])
        lines = [f"{kind}: {line_text(item)}"[:LONGEST_LINE] for kind, item in items[: self.most]]
        left = len(items) - self.most
        return "\n".join([*lines, f"and {left} more"] if left > 0 else lines)


class WordValue(Value):
    """Scores an imagined outcome by what the objective names.

    Good: fields and choices that now hold what is wanted, and new or updated items that the
    objective names. Bad: the opposite, no change at all, and ending a form while something is
    missing. It reads nothing but the imagined changes, the page and the objective, unless the
    imagination knows the reward of the outcome, as the true simulator does.

    Args:
        outcome: A pattern, in Python's notation, of the text with which pages of a site say the
            reward of an episode, such as ``Last reward: (-?[0-9.]+)``; the number in its group
            counts wherever a new or updated item has it.
    """

    def __init__(self, outcome: str = "") -> None:
        try:
            groups = re.compile(outcome).groups
        except re.error as error:
            raise ValueError(f"outcome: {outcome!r} is no pattern: {error}") from None
        if outcome and groups != 1:
            raise ValueError(f"outcome: {outcome!r} must have one group, the reward")
        self.outcome = outcome

    def scores(
        self, situation: Situation, action: Action, imagined: Imagined, summary: str
    ) -> list[float]:
        if imagined.reward is not None:
            return [_of_reward(imagined.reward)]
        if imagined.changes is None:
            return []
        said = self._said(imagined.changes)
        if said is not None:
            return [_of_reward(said)]
        score = _of_changes(situation, action, imagined.changes)
        return [min(max(score, LOWEST), HIGHEST)]

    def _said(self, changes: Changes) -> float | None:
        """The reward that an item says; None if no item says one."""
        if not self.outcome:
            return None
        for item in (*changes.new, *changes.updated):
            reward = re.search(self.outcome, item.name)
            if reward:
                with contextlib.suppress(ValueError):
                    return float(reward[1])
        return None


def _of_reward(reward: float) -> float:
    """The score of an end; one that is not worth the full reward is worse than to go on."""
    return HIGHEST if reward >= 1 else LOWEST + min(max(reward, 0.0), 1.0)


def _of_changes(situation: Situation, action: Action, changes: Changes) -> float:
    """The score of changes, before it is kept within its limits."""
    seen = situation.observation
    before = facts(seen.elements, seen.objective)
    if _is_finish(action, seen.elements):
        ready = not (before.missing or before.wrong)
        return (READY if ready else UNREADY) + min(_news(changes, seen.objective), NEWS)
    if not changes.total:
        return NOTHING
    after = facts(apply(seen.elements, changes), seen.objective)
    progress = GAIN * (after.met - before.met) - LOSS * (after.wrong - before.wrong)
    return MIDDLE + progress + min(_news(changes, seen.objective), MOST_NEWS)


def _news(changes: Changes, objective: str) -> float:
    """What new and updated items say that the objective asks about."""
    texts = [plain(text) for text in quoted(objective)]
    news = 0.0
    for item in changes.new:
        name = plain(item.name)
        if is_named(item, objective) or any(text.strip() and text in name for text in texts):
            news += NEWS
        elif (set(name.split()) - EMPTY) & wanted_words(objective):
            news += NEWS / 5
    return news


def _is_finish(action: Action, elements: Sequence[Element]) -> bool:
    if action.kind == "type":
        return False
    return any(e.id == action.element and finishes(e) for e in elements)
