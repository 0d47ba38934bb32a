"""Games told with other names: the same step, so that a model must read names, not know them."""

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rlvr_world.text_game.game_state import GameState
from rlvr_world.text_game.transition import Transition

IDENTITY = " (ID: "
"""What follows the words of an object's name."""


def name_words(state: GameState) -> set[str]:
    """The words of the names of a state's objects; a name that is the object's type has none."""
    return {
        word
        for item in state["objects"]
        if (words := item["name"].partition(IDENTITY)[0]) != item["type"]
        for word in words.split()
    }


def renamed(transition: Transition, words: Sequence[str], rng: random.Random) -> Transition:
    """The same step with each word of the objects' names replaced by another one.

    A word becomes the same other word wherever it stands, so that a ``red key`` still has the word
    of its ``red box``. Uuids, types and properties stay, but for properties that are names.

    Args:
        transition: The step.
        words: The words to draw from; at least as many as the names have.
        rng: Where the choice comes from.
    """
    own = sorted(name_words(transition.state) | name_words(transition.target))
    other = dict(zip(own, rng.sample(words, len(own)), strict=True))
    objects = [*transition.state["objects"], *transition.target["objects"]]
    labels = {item["name"]: new_name(item["name"], item["type"], other) for item in objects}
    longest_first = sorted(labels, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)))
    action, task = (
        pattern.sub(lambda found: labels[found[0]], text)
        for text in (transition.action, transition.task)
    )
    return replace(
        transition,
        action=action,
        task=task,
        state=renamed_state(transition.state, labels),
        target=renamed_state(transition.target, labels),
    )


def new_name(name: str, kind: str, other: Mapping[str, str]) -> str:
    """The name with other words; one that is the object's type stays."""
    words, mark, identity = name.partition(IDENTITY)
    if words == kind:
        return name
    return " ".join(other[word] for word in words.split()) + mark + identity


def renamed_state(state: GameState, labels: Mapping[str, str]) -> GameState:
    """The state with names, and contents and properties that are names, replaced."""
    objects = [
        item
        | {
            "name": labels[item["name"]],
            "properties": {k: renamed_value(v, labels) for k, v in item["properties"].items()},
            "contains": [labels.get(name, name) for name in item["contains"]],
        }
        for item in state["objects"]
    ]
    return {"objects": objects, "score": state["score"]}


def renamed_value(value: Any, labels: Mapping[str, str]) -> Any:
    """A property's value: another name if it is one."""
    return labels.get(value, value) if isinstance(value, str) else value


def vocabulary(states: Iterable[GameState]) -> tuple[str, ...]:
    """All words of the names in some states, in order."""
    return tuple(sorted(set().union(*map(name_words, states))))
