"""What verbs do in most games, without a model: answers by rule, for tables.

``open``, ``lock``, ``turn on`` and their opposites flip a property of what they name; ``take``,
``drop``, ``put`` and ``eat`` move or remove it; ``go`` moves the player. The score stays.
"""

import re
from typing import Any

from rlvr_world.language.transition import Form
from rlvr_world.text_game.game_state import GameObject, GameState
from rlvr_world.text_game.prompt import compact_json
from rlvr_world.text_game.transition import Transition, diff

FLIPS = {
    "open": ("isOpen", True), "close": ("isOpen", False), "lock": ("isLocked", True),
    "unlock": ("isLocked", False), "turn on": ("isOn", True), "turn off": ("isOn", False),
}  # fmt: skip
FIXED = ("room", "door", "container", "supporter")
"""Types of objects that stay where they are."""


def verb_rule(transition: Transition, form: Form) -> str:
    """The answer that the action does what its verb says, if that is possible at all."""
    after = Scene(transition.state).after(transition.action)
    return compact_json(after if form == "state" else diff(transition.state, after))


class Scene:
    """A state, looked at by names; ``inside`` says what contains each object."""

    def __init__(self, state: GameState) -> None:
        self.state = state
        self.objects = {item["name"]: item for item in state["objects"]}
        self.inside = {name: item["name"] for item in state["objects"] for name in item["contains"]}
        self.player = next((n for n in self.objects if n.startswith(("player", "agent"))), "")
        self.room = self.inside.get(self.player, "")

    def after(self, action: str) -> GameState:
        """The state that an action leads to, by the verb."""
        verb = next((v for v in FLIPS if action.startswith(f"{v} ")), action.partition(" ")[0])
        named = re.findall("|".join(map(re.escape, sorted(self.objects, key=len)[::-1])), action)
        if verb == "go":
            return self.moved(self.player, self.beyond(action.partition(" ")[2]))
        if not named or not self.reachable(named[0]):
            return self.state
        if verb in FLIPS:
            return self.flipped(self.objects[named[0]], verb, named[1:])
        held = self.inside.get(named[0]) == self.player
        if verb == "eat" and held:
            return self.moved(named[0], None)
        if verb == "take" and not held and self.objects[named[0]]["type"] not in FIXED:
            return self.moved(named[0], self.player)
        if verb == "drop" and held:
            return self.moved(named[0], self.room)
        if verb in ("put", "insert") and held and len(named) > 1 and self.reachable(named[1]):
            return self.state if self.is_shut(named[1]) else self.moved(named[0], named[1])
        return self.state

    def beyond(self, direction: str) -> str:
        """The room in a direction, or this one if the way is shut or there is none."""
        ways = self.objects[self.room]["properties"] if self.room else {}
        place, door = ways.get(direction), ways.get(f"{direction}Door")
        shut = isinstance(door, str) and door in self.objects and self.is_shut(door)
        return place if isinstance(place, str) and not shut else self.room

    def is_shut(self, name: str) -> bool:
        return self.objects[name]["properties"].get("isOpen") is False

    def reachable(self, name: str) -> bool:
        """Whether an object is held, in the room and in nothing that is shut, or a door of it."""
        if self.room and name in self.objects[self.room]["properties"].values():
            return True
        for _ in self.objects:  # a broken state may go round in circles
            holder = self.inside.get(name, "")
            if holder in (self.room, self.player):
                return holder != ""
            if not holder or self.is_shut(holder):
                return False
            name = holder
        return False

    def flipped(self, item: GameObject, verb: str, tools: list[str]) -> GameState:
        """The state with the verb's property of an object flipped, if nothing is in the way."""
        key, value = FLIPS[verb]
        properties: dict[str, Any] = item["properties"]
        locked = key == "isOpen" and properties.get("isLocked") is True
        is_open = key == "isLocked" and properties.get("isOpen") is True
        keys = key != "isLocked" or any(self.opens(tool, item["name"]) for tool in tools)
        if key not in properties or locked or is_open or not keys:
            return self.state
        return self.replaced({item["name"]: item | {"properties": properties | {key: value}}})

    def opens(self, tool: str, name: str) -> bool:
        """Whether a key is held and, where it says what it opens, fits."""
        fits = self.objects[tool]["properties"].get("opens", name) == name
        return fits and self.inside.get(tool) == self.player

    def moved(self, name: str, place: str | None) -> GameState:
        """The state with an object in another place; None removes it."""
        source = self.inside.get(name, "")
        if source not in self.objects or place in (source, name):
            return self.state
        if place is not None and place not in self.objects:
            return self.state
        left = [other for other in self.objects[source]["contains"] if other != name]
        changed: dict[str, GameObject | None] = {source: self.objects[source] | {"contains": left}}
        if place is None:
            changed[name] = None
        else:
            held = [*self.objects[place]["contains"], name]
            changed[place] = self.objects[place] | {"contains": held}
        return self.replaced(changed)

    def replaced(self, changed: dict[str, Any]) -> GameState:
        """The state with objects replaced by name, or removed where there is None."""
        objects = [changed.get(item["name"], item) for item in self.state["objects"]]
        return {"objects": [o for o in objects if o is not None], "score": self.state["score"]}
