"""A state of a text game as facts that are right or wrong one by one.

Facts of an object are that it is there, its name, its type, what it contains (in no order) and each
of its properties; the score has one fact for each of its keys.
"""

from collections.abc import Mapping
from typing import Any

from rlvr_world.text_game.game_state import GameObject, GameState

Fact = tuple[Any, ...]
"""``(uuid, "object")``, ``(uuid, "name")``, ``(uuid, "type")``, ``(uuid, "contains")``,
``(uuid, "properties", key)`` or ``("score", key)``."""

Facts = Mapping[Fact, Any]
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
    facts = {(uuid, "properties", key): value for key, value in item["properties"].items()}
    facts[uuid, "object"] = True
    facts[uuid, "name"] = item["name"]
    facts[uuid, "type"] = item["type"]
    facts[uuid, "contains"] = sorted(item["contains"])
    return facts


def state_facts(state: GameState) -> Facts:
    """The facts of all objects and of the score."""
    facts = {("score", key): value for key, value in (state["score"] or {}).items()}
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
