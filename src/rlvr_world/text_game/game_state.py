"""What a state of a text game is: objects and a score, held as the plain data that JSON gives.

The format is that of ByteSized32-State-Prediction (Wang et al., 2024). States are shared between
judgements and must not be changed in place.
"""

import json
from math import isfinite
from operator import itemgetter
from sys import float_info
from typing import Any, TypedDict


class GameObject(TypedDict):
    """One object of a game; ``contains`` has no order, ``uuid`` is unique within a state."""

    name: str
    uuid: int
    type: str
    properties: dict[str, Any]
    contains: list[str]


class Score(TypedDict):
    """The score of a game, and whether the game ended and was won."""

    score: float
    gameOver: bool
    gameWon: bool


class GameState(TypedDict):
    """All objects of a game, in no order, and the score where one is known."""

    objects: list[GameObject]
    score: Score | None


OBJECT_KEYS = {"name": str, "uuid": int, "type": str, "properties": dict, "contains": list}
SCORE_KEYS = {"score": (int, float), "gameOver": (bool,), "gameWon": (bool,)}
DEEPEST = 16  # levels of lists and dictionaries in one property of a state that counts as data


def canonical(state: GameState) -> str:
    """JSON that is the same for the same state: neither objects nor contents have an order."""
    objects = sorted(state["objects"], key=itemgetter("uuid"))
    unordered = [item | {"contains": sorted(item["contains"])} for item in objects]
    return json.dumps({"objects": unordered, "score": state["score"]}, sort_keys=True)


def objects_problem(objects: Any, name: str = "objects") -> str | None:
    """What is wrong with a list of objects, in words, or None; ``name`` is the list's name."""
    if type(objects) is not list:
        return f"{name} must be a list of objects, got {type(objects).__name__}"
    uuids = set()
    for index, item in enumerate(objects):
        if type(item) is not dict or item.keys() != OBJECT_KEYS.keys():
            return (
                f"{name}[{index}] must be an object with exactly the keys {', '.join(OBJECT_KEYS)}"
            )
        for key, kind in OBJECT_KEYS.items():
            if type(item[key]) is not kind:
                got = type(item[key]).__name__
                return f"{name}[{index}].{key} must be of type {kind.__name__}, got {got}"
        if not all(type(content) is str for content in item["contains"]):
            return f"{name}[{index}].contains must hold names only"
        if item["uuid"] in uuids:
            return f"{name}[{index}].uuid is that of another object in the list"
        uuids.add(item["uuid"])
    return None


def score_problem(score: Any) -> str | None:
    """What is wrong with a score, in words, or None."""
    if type(score) is not dict or score.keys() != SCORE_KEYS.keys():
        return f"score must hold exactly the keys {', '.join(SCORE_KEYS)}"
    for key, kinds in SCORE_KEYS.items():
        if type(score[key]) not in kinds:
            names = " or ".join(kind.__name__ for kind in kinds)
            return f"score.{key} must be of type {names}, got {type(score[key]).__name__}"
    return None


def state_problem(state: Any) -> str | None:
    """What is wrong with a state that is data, in words, or None.

    Beyond the shape, which answers of a model must have too, the numbers must be finite and no
    property may nest deeper than 16 levels.
    """
    if type(state) is not dict or state.keys() != GameState.__annotations__.keys():
        return "a state must hold exactly the keys objects, score"
    problem = objects_problem(state["objects"])
    if problem is None and state["score"] is not None:
        problem = score_problem(state["score"])
    if problem is not None:
        return problem
    for index, item in enumerate(state["objects"]):
        for key, value in item["properties"].items():
            if not (type(key) is str and _is_json(value, DEEPEST)):
                return (
                    f"objects[{index}].properties.{key} must be JSON with finite numbers, at most "
                    f"{DEEPEST} levels deep"
                )
    if state["score"] is not None and not abs(state["score"]["score"]) <= float_info.max:
        return "score.score must be finite"
    return None


def _is_json(value: Any, levels: int) -> bool:
    """Whether a value is what JSON can hold, with finite numbers, in at most so many levels."""
    if isinstance(value, float):
        return isfinite(value)
    if value is None or isinstance(value, bool | int | str):
        return True
    if levels and isinstance(value, list):
        return all(_is_json(item, levels - 1) for item in value)
    if levels and isinstance(value, dict):
        return all(isinstance(k, str) and _is_json(item, levels - 1) for k, item in value.items())
    return False
