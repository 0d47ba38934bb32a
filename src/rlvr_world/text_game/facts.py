"""A state of a text game as facts that are right or wrong one by one.

Facts of an object are that it is there, its name, its type, what it contains (in no order) and each
of its properties; the score has one fact for each of its keys. Judges count them.
"""

from typing import Any, NamedTuple

from rlvr_world.language.judge import Reason
from rlvr_world.text_game.game_state import GameObject, GameState

Fact = tuple[Any, ...]
"""``(uuid, "object")``, ``(uuid, "name")``, ``(uuid, "type")``, ``(uuid, "contains")``,
``(uuid, "properties", key)`` or ``("score", key)``."""

Facts = dict[Fact, Any]
"""The value of each fact."""

ABSENT = object()
"""The value of a fact that a state does not hold."""


def same_value(first: Any, second: Any) -> bool:
    """Whether two JSON values are equal: 1 is 1.0, but neither is true; lists have an order."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same_value, first, second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same_value(first[k], second[k]) for k in first)
    return first == second


def object_facts(item: GameObject) -> Facts:
    """The facts of one object."""
    uuid = item["uuid"]
    facts: Facts = {(uuid, "properties", key): v for key, v in item["properties"].items()}
    facts[uuid, "object"] = True
    facts[uuid, "name"] = item["name"]
    facts[uuid, "type"] = item["type"]
    facts[uuid, "contains"] = sorted(item["contains"])
    return facts


def state_facts(state: GameState) -> Facts:
    """The facts of all objects and of the score."""
    facts: Facts = {("score", key): value for key, value in (state["score"] or {}).items()}
    for item in state["objects"]:
        facts.update(object_facts(item))
    return facts


def same_facts(first: Facts, second: Facts) -> bool:
    """Whether two sets of facts are equal."""
    return first.keys() == second.keys() and all(same_value(first[f], second[f]) for f in first)


def changed_facts(before: Facts, after: Facts) -> Facts:
    """The facts that differ, with their values after: ``ABSENT`` where one is gone.

    A removed object counts as one fact, that it is no longer there; an added one counts with each
    of its facts.
    """
    changed = {fact: value for fact, value in after.items() if not has(before, fact, value)}
    for fact in before.keys() - after.keys():
        uuid, kind = fact[:2]
        if kind == "object" or (uuid, "object") in after:
            changed[fact] = ABSENT
    return changed


def has(facts: Facts, fact: Fact, value: Any) -> bool:
    """Whether a fact has the value; ``ABSENT`` stands for a fact that is not there."""
    return same_value(facts.get(fact, ABSENT), value)


class Judgement(NamedTuple):
    """What a rule says of an answer: ``right``, or why not.

    ``share`` of the facts that the judge compares are right, in [0, 1]; ``task_specific`` is the
    reward of Equation 4, in [0, 1.3].
    """

    reason: Reason
    share: float = 0.0
    task_specific: float = 0.0


def equation_4(objects: float, score: float, right: bool, changed: float | None) -> float:
    """The task-specific reward of the paper (Wu et al., 2025), in [0, 1.3].

    All but ``right`` are shares of right facts: about objects, about the score, and among those
    that change, None if nothing does.
    """
    base = objects * 0.09 + score * 0.01 + 0.2 * right
    return base if changed is None else base + changed
