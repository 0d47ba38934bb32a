"""The example game that prompts show: water on a stove, with its rules and its steps."""

from collections.abc import Mapping
from typing import Any

from rlvr_world.text_game.game_state import GameObject, GameState, Score
from rlvr_world.text_game.transition import Mode, Transition

EXAMPLE_RULES: Mapping[str, str] = {
    "objects": (
        "Agent, World: they have no properties that change.\n"
        "Stove: it is a container that is off or on (`isOn`).\n"
        "Pot: it is a container that can be moved.\n"
        "Water: it has a temperature in degrees. Each time that time passes, water in a pot that "
        "stands on a stove that is on gets 10 degrees warmer, up to 100; else it stays as it is."
    ),
    "actions": (
        "turn on stove, turn off stove: the stove is on or off then.\n"
        "take pot: the pot moves into the agent. put pot on stove: it moves onto the stove.\n"
        "look around: nothing changes by it."
    ),
    "score": "When the water has 100 degrees, the score is 1 and the game is over and won.",
}
TASK = "Your task is to boil water."
OPEN: Score = {"score": 0, "gameOver": False, "gameWon": False}
WON: Score = {"score": 1, "gameOver": True, "gameWon": True}


def _thing(uuid: int, name: str, contains: tuple[str, ...] = (), **properties: Any) -> GameObject:
    return {
        "name": f"{name} (ID: {uuid})",
        "uuid": uuid,
        "type": "World" if name == "kitchen" else name.title(),
        "properties": properties,
        "contains": list(contains),
    }


def _state(on: bool, temperature: float, score: Score | None) -> GameState:
    objects = [
        _thing(1, "kitchen", ("agent (ID: 0)", "stove (ID: 2)")),
        _thing(0, "agent"),
        _thing(2, "stove", ("pot (ID: 3)",), isOn=on),
        _thing(3, "pot", ("water (ID: 4)",)),
        _thing(4, "water", temperature=temperature),
    ]
    return {"objects": objects, "score": score}


def _step(mode: Mode, action: str, before: GameState, after: GameState) -> Transition:
    return Transition("stove", mode, action, before, after, 5, TASK)


SWITCH = "turn on stove (ID: 2)"
EXAMPLES: Mapping[Mode, tuple[Transition, ...]] = {
    "full": (
        _step("full", SWITCH, _state(False, 20.0, OPEN), _state(True, 30.0, OPEN)),
        _step("full", "look around", _state(True, 90.0, OPEN), _state(True, 100.0, WON)),
    ),
    "action": (_step("action", SWITCH, _state(False, 20.0, None), _state(True, 20.0, None)),),
    "tick": (_step("tick", "", _state(True, 20.0, None), _state(True, 30.0, None)),),
    "score": (_step("score", SWITCH, _state(True, 100.0, OPEN), _state(True, 100.0, WON)),),
}
"""Steps of each mode: in the second one of ``full``, only time changes something."""
