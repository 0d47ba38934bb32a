"""Steps of games with other names and numbers, so that a model must read them, not know them."""

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from rlvr_world.text_game.game_state import GameObject, GameState
from rlvr_world.text_game.references import identity
from rlvr_world.text_game.transition import Transition

NUMBER = re.compile(r" \(ID: (\d+)\)")


def retold(
    transition: Transition, rng: random.Random, words: Sequence[str], renumber: bool
) -> Transition:
    """The step with other names if there are ``words``, and with other uuids if asked."""
    if words:
        transition = renamed(transition, words, rng)
    return renumbered(transition, rng) if renumber else transition


def vocabulary(states: Iterable[GameState]) -> tuple[str, ...]:
    """All words of the names in some states, in order."""
    return tuple(sorted(set().union(*map(name_words, states))))


def name_words(state: GameState) -> set[str]:
    """The words of the names of a state's objects; a name that is the object's type has none."""
    names = ((_words(item["name"]), item["type"]) for item in state["objects"])
    return {word for words, kind in names if words != kind for word in words.split()}


def renamed(transition: Transition, words: Sequence[str], rng: random.Random) -> Transition:
    """The same step with each word of the objects' names replaced by another one.

    A word becomes the same other word wherever it stands, so that a ``red key`` still has the word
    of its ``red box``. Uuids, types and properties stay, but for properties that are names. There
    must be at least as many ``words`` as the names have.
    """
    own = sorted(name_words(transition.state) | name_words(transition.target))
    other = dict(zip(own, rng.sample(words, len(own)), strict=True))
    objects = [*transition.state["objects"], *transition.target["objects"]]
    labels = {item["name"]: _new_name(item, other) for item in objects}
    longest_first = sorted(labels, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)))
    return replace(
        transition,
        action=pattern.sub(lambda found: labels[found[0]], transition.action),
        task=pattern.sub(lambda found: labels[found[0]], transition.task),
        state=_said(transition.state, lambda name: labels.get(name, name)),
        target=_said(transition.target, lambda name: labels.get(name, name)),
    )


def _words(name: str) -> str:
    return name.partition(" (ID: ")[0]


def _new_name(item: GameObject, other: Mapping[str, str]) -> str:
    words = _words(item["name"])
    if words == item["type"]:
        return item["name"]
    return " ".join(other[word] for word in words.split()) + item["name"].removeprefix(words)


def renumbered(transition: Transition, rng: random.Random) -> Transition:
    """The same step in which objects of one type have exchanged their uuids.

    Objects and contents are listed by their new uuids. Numbers in names follow, also in the action,
    in the task and in properties that are names; objects that the step adds keep their uuids.
    """
    by_type: dict[str, list[int]] = defaultdict(list)
    for item in transition.state["objects"]:
        by_type[item["type"]].append(item["uuid"])
    other = {
        old: new
        for uuids in by_type.values()
        for old, new in zip(uuids, rng.sample(uuids, len(uuids)), strict=True)
    }

    def say(text: str) -> str:
        return NUMBER.sub(lambda found: identity(other.get(int(found[1]), int(found[1]))), text)

    def in_order(state: GameState) -> GameState:
        objects = _said(state, say)["objects"]
        for item in objects:
            item["uuid"] = other.get(item["uuid"], item["uuid"])
            item["contains"].sort(key=_number)
        return {"objects": sorted(objects, key=lambda i: i["uuid"]), "score": state["score"]}

    return replace(
        transition,
        action=say(transition.action),
        task=say(transition.task),
        state=in_order(transition.state),
        target=in_order(transition.target),
    )


def _said(state: GameState, say: Callable[[str], str]) -> GameState:
    objects: list[GameObject] = [
        item
        | {
            "name": say(item["name"]),
            "properties": {
                key: say(value) if isinstance(value, str) else value
                for key, value in item["properties"].items()
            },
            "contains": list(map(say, item["contains"])),
        }
        for item in state["objects"]
    ]
    return {"objects": objects, "score": state["score"]}


def _number(name: str) -> int:
    """The number in a name, by which contents are listed; -1 without one."""
    found = NUMBER.search(name)
    return int(found[1]) if found else -1
