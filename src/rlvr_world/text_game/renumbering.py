"""Games told with other numbers: the same step, so that a model must look objects up."""

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rlvr_world.text_game.game_state import GameObject, GameState
from rlvr_world.text_game.references import identity
from rlvr_world.text_game.transition import Transition

NUMBER = re.compile(r" \(ID: (\d+)\)")


def renumbered(transition: Transition, rng: random.Random) -> Transition:
    """The same step in which objects of one type have exchanged their uuids.

    Objects and contents are listed by their new uuids. Numbers in names follow, also in the action,
    in the task and in properties that are names; objects that the step adds keep their uuids.

    Args:
        transition: The step; its uuids are whole numbers that stand nowhere but in names.
        rng: Where the choice comes from.
    """
    other = exchanged(transition.state["objects"], rng)
    action, task = (in_text(text, other) for text in (transition.action, transition.task))
    state, target = (in_state(s, other) for s in (transition.state, transition.target))
    return replace(transition, action=action, task=task, state=state, target=target)


def exchanged(objects: Sequence[GameObject], rng: random.Random) -> dict[int, int]:
    """New uuids by old ones: those of each type among themselves."""
    by_type = defaultdict(list)
    for item in objects:
        by_type[item["type"]].append(item["uuid"])
    return {
        old: new
        for uuids in by_type.values()
        for old, new in zip(uuids, rng.sample(uuids, len(uuids)), strict=True)
    }


def in_text(text: str, other: Mapping[int, int]) -> str:
    """The text with the numbers in names replaced."""
    return NUMBER.sub(lambda found: identity(other.get(int(found[1]), int(found[1]))), text)


def in_state(state: GameState, other: Mapping[int, int]) -> GameState:
    """The state with other uuids, in their order."""
    objects = [
        item
        | {
            "uuid": other.get(item["uuid"], item["uuid"]),
            "name": in_text(item["name"], other),
            "properties": {k: in_value(v, other) for k, v in item["properties"].items()},
            "contains": sorted((in_text(name, other) for name in item["contains"]), key=number),
        }
        for item in state["objects"]
    ]
    return {"objects": sorted(objects, key=lambda item: item["uuid"]), "score": state["score"]}


def in_value(value: Any, other: Mapping[int, int]) -> Any:
    """A property's value: with another number if it is a name."""
    return in_text(value, other) if isinstance(value, str) else value


def number(name: str) -> int:
    """The number in a name, by which contents are listed; -1 without one."""
    found = NUMBER.search(name)
    return int(found[1]) if found else -1
