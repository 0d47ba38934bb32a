"""Short references to objects, which a small model can write without copying their names.

Games name an object ``red box (ID: 4)``. Where a text refers to it, ``#4`` says as much; the words
of the name stand once in the prompt, behind the object's uuid.
"""

import re
from collections.abc import Mapping
from typing import Any

from rlvr_world.text_game.game_state import GameState

REFERENCE = re.compile(r'"(#\d+)"')
NAME = re.compile(r'"uuid":(\d+),"name":"((?:[^"\\]|\\.)*)"')


def identity(uuid: int | str) -> str:
    """How a name ends that says its object's uuid."""
    return f" (ID: {uuid})"


def references(state: GameState) -> dict[str, str]:
    """The reference of each object of a state whose name ends with its uuid, by that name."""
    return {
        item["name"]: f"#{item['uuid']}"
        for item in state["objects"]
        if item["name"].endswith(identity(item["uuid"]))
    }


def referred(value: Any, known: Mapping[str, str]) -> Any:
    """The JSON value with each string that is a known name replaced by its reference."""
    match value:
        case str():
            return known.get(value, value)
        case list():
            return [referred(item, known) for item in value]
        case dict():
            return {key: referred(item, known) for key, item in value.items()}
    return value


def referred_text(text: str, known: Mapping[str, str]) -> str:
    """The text, such as an action, with each known name in it replaced by its reference."""
    if not known:
        return text
    names = sorted(known, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, names)), lambda found: known[found[0]], text)


def resolved(answer: str, prompt: str) -> str:
    """The answer with each reference replaced by the name that the prompt gives the object."""
    names = {f"#{uuid}": name + identity(uuid) for uuid, name in NAME.findall(prompt)}
    return REFERENCE.sub(lambda found: f'"{names.get(found[1], found[1])}"', answer)
