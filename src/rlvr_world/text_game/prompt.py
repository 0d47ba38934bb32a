"""Prompts and answers of text games in words: what a language model reads and should write.

The style ``long`` has the sections that the paper's Appendix D names; ``compact`` has the state and
the action alone, with references in the place of names.
"""

import json
from collections.abc import Mapping
from typing import Any

from rlvr_world.language.transition import Form, Style
from rlvr_world.text_game.answer import PHRASES
from rlvr_world.text_game.examples import EXAMPLE_RULES, EXAMPLES
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
        "Answer with a JSON object: under `objects` all objects of the new state, each in full; "
        "under `score` its score."
    ),
}
KEPT = " Names, types and properties stay as they are unless the game changes them."
SILENT_FORMS = {form: text.split("; under `score`")[0] + f".{KEPT}" for form, text in FORMS.items()}
FORMS = {form: text + KEPT for form, text in FORMS.items()}
ONLY_SCORE = (
    "Answer with a JSON object that has the key `score` alone: under it `score`, the points, and "
    "`gameOver` and `gameWon`."
)
END = (
    "Reason as you need, then end with one line like those of the examples, which begins with the "
    f"words\n{PHRASES[0]}"
)
RULES: Mapping[Mode, tuple[str, ...]] = {
    "full": ("objects", "actions", "score"),
    "action": ("objects", "actions"),
    "tick": ("objects",),
    "score": ("objects", "score"),
}
"""The rules that matter for what a step covers."""


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
    mode, scored = transition.mode, transition.target["score"] is not None
    wanted = ONLY_SCORE if mode == "score" else (FORMS if scored else SILENT_FORMS)[form]
    examples = [f"{state_text(step)}\n{answer_text(step, 'long', form)}" for step in EXAMPLES[mode]]
    parts = [TASKS[mode], wanted, "A game as an example:", f"Its task: {EXAMPLES[mode][0].task}"]
    parts += [*rule_texts(mode, EXAMPLE_RULES), *examples, "The game to simulate:"]
    if transition.task:
        parts.append(f"Its task: {transition.task}")
    parts += [*rule_texts(mode, rules or {}), state_text(transition), END]
    return "\n\n".join(parts) + "\n"


def rule_texts(mode: Mode, rules: Mapping[str, str]) -> list[str]:
    """Those rules of a game that matter in a mode."""
    return [f"Rules of its {title}:\n{rules[title]}" for title in RULES[mode] if rules.get(title)]


def answer_text(transition: Transition, style: Style, form: Form) -> str:
    """What the model should write: the true answer."""
    whole: dict[str, Any] = {**(transition.target if form == "state" else transition.difference)}
    if transition.mode == "score":
        whole = {"score": transition.target["score"]}
    elif transition.target["score"] is None:
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
    if transition.mode != "score":
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
