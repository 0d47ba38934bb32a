"""Prompts and answers of text games in words: what a language model reads and should write.

The style ``long`` has the sections that the paper's Appendix D names; ``compact`` has the state and
the action alone, with references in the place of names.
"""

import json
from collections.abc import Mapping
from typing import Any

from rlvr_world.language.transition import Form, Style
from rlvr_world.text_game.answer import PHRASES
from rlvr_world.text_game.game_state import GameState
from rlvr_world.text_game.references import identity, references, referred, referred_text
from rlvr_world.text_game.transition import Mode, Transition

OBJECT_LISTS = ("objects", "modified")
UUID_FIRST = ("uuid", "name", "type", "properties", "contains")
"""The keys of an object in the order in which a model can look it up, by the uuid."""

TASKS = {
    "full": (
        "You simulate a text game. Given its state and an action, work out the state after the "
        "action, the score included. Things may also change by themselves as time passes, whether "
        "or not the action does anything."
    ),
    "action": (
        "You simulate a text game. Given its state and an action, work out the state that the "
        "action alone leads to, before time passes."
    ),
    "tick": (
        "You simulate a text game. An action has just been taken. Work out what the state is once "
        "time has passed, as things change by themselves."
    ),
    "score": (
        "You simulate a text game. Given its state, work out the score, and whether the game is "
        "over and won."
    ),
}
FORMS = {
    "difference": (
        "Answer with a JSON object: under `modified` the objects that are new or have changed, "
        "each in full; under `removed` the uuids of those that are gone; under `score` the new "
        "score, or {} if it stays the same."
    ),
    "state": (
        "Answer with a JSON object: under `objects` all objects of the new state, each in full, "
        "and under `score` its score."
    ),
}
SILENT_FORMS = {form: text.split("; under `score`")[0] + "." for form, text in FORMS.items()}
RULES: Mapping[Mode, tuple[str, ...]] = {
    "full": ("objects", "actions", "score"),
    "action": ("objects", "actions"),
    "tick": ("objects",),
    "score": ("objects", "score"),
}
"""The rules that matter for what a step covers."""

EXAMPLE_STATE: GameState = {
    "objects": [
        {"name": "shelf (ID: 2)", "uuid": 2, "type": "Shelf", "properties": {"isOpen": True},
         "contains": ["lamp (ID: 3)"]},
        {"name": "lamp (ID: 3)", "uuid": 3, "type": "Lamp", "properties": {"isOn": False},
         "contains": []},
    ],
    "score": {"score": 0, "gameOver": False, "gameWon": False},
}  # fmt: skip
EXAMPLE_TARGET: GameState = {
    "objects": [
        EXAMPLE_STATE["objects"][0],
        EXAMPLE_STATE["objects"][1] | {"properties": {"isOn": True}},
    ],
    "score": {"score": 1, "gameOver": True, "gameWon": True},
}
EXAMPLES = [
    Transition("example", "full", "switch on lamp (ID: 3)", EXAMPLE_STATE, EXAMPLE_TARGET, 4, ""),
    Transition("example", "full", "switch on shelf (ID: 2)", EXAMPLE_STATE, EXAMPLE_STATE, 4, ""),
]
"""One step that changes something and one that does not."""


def prompt_text(
    transition: Transition, rules: Mapping[str, str] | None, style: Style, form: Form
) -> str:
    """What the model reads, whatever the step's target is.

    ``rules`` are those of the game in words, under ``objects``, ``actions`` and ``score``; the
    compact style leaves them out.
    """
    if style == "compact":
        known = references(transition.state)
        state = referred_state(transition.state, known)
        return f"{compact_json(state)}\n> {referred_text(transition.action, known)}\n"
    wanted = (SILENT_FORMS if transition.target["score"] is None else FORMS)[form]
    kept = "Names, types and properties stay as they are unless the game changes them."
    parts = [TASKS[transition.mode], f"{wanted} {kept}"]
    for example in EXAMPLES if transition.mode == "full" else ():
        answer = answer_text(example, "long", form)
        parts.append(f"An example.\n{state_text(example)}\n{answer}")
    parts.append("The game to simulate:")
    if transition.task:
        parts.append(f"Its task: {transition.task}")
    for title in RULES[transition.mode]:
        if rules and rules.get(title):
            parts.append(f"Rules of its {title}:\n{rules[title]}")
    parts.append(state_text(transition))
    parts.append(f"Reason as you need, then write `{PHRASES[0]}` and the JSON object.")
    return "\n\n".join(parts) + "\n"


def answer_text(transition: Transition, style: Style, form: Form) -> str:
    """What the model should write: the true answer."""
    whole: dict[str, Any] = {**(transition.target if form == "state" else transition.difference)}
    if transition.target["score"] is None:
        del whole["score"]
    if style == "compact":
        return compact_json(referred(whole, references(transition.state)))
    return f"{PHRASES[0]} {compact_json(whole)}"


def referred_state(state: GameState, known: Mapping[str, str]) -> GameState:
    """The state with references; an object's own name is there, without its uuid."""
    names = {i["uuid"]: i["name"].removesuffix(identity(i["uuid"])) for i in state["objects"]}
    objects = [item | {"name": names[item["uuid"]]} for item in referred(state, known)["objects"]]
    return {"objects": objects, "score": state["score"]}


def unchanged_text(transition: Transition, form: Form) -> str:
    """The answer that nothing changes."""
    if form == "state":
        return compact_json(transition.state)
    return compact_json({"modified": [], "removed": [], "score": {}})


def state_text(transition: Transition) -> str:
    """The given state, the first free uuid and the action."""
    lines = [f"The state:\n{compact_json(transition.state)}"]
    lines.append(f"New objects get uuids from {transition.uuid_base} on.")
    if transition.action:
        lines.append(f"The action: {transition.action}")
    return "\n".join(lines)


def compact_json(value: Mapping[str, Any]) -> str:
    """A state or a difference as JSON without spaces; each object's uuid comes first."""
    lists = {
        key: [{name: item[name] for name in UUID_FIRST} for item in value[key]]
        for key in OBJECT_LISTS
        if key in value
    }
    return json.dumps({**value, **lists}, separators=(",", ":"), ensure_ascii=False)
