"""A step of a text game: the state, the action and the true next state, and their difference."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, TypedDict, get_args

from rlvr_world.language.transition import TextTransition, Traits
from rlvr_world.text_game.facts import (
    Facts,
    changed_facts,
    object_facts,
    same_facts,
    same_value,
    state_facts,
)
from rlvr_world.text_game.game_state import GameObject, GameState, canonical, state_problem

Mode = Literal["full", "action", "tick", "score"]
"""What a step covers: an action and the tick after it with the score, the action alone, the tick
alone, or the score alone. ``action`` and ``tick`` have no score."""

WITHOUT_SCORE = ("action", "tick")


class Difference(TypedDict):
    """A next state by what changed: whole objects, uuids, and the score or {} if it is the same."""

    modified: list[GameObject]
    removed: list[int]
    score: Any


@dataclass(frozen=True)
class Transition(TextTransition):
    """One step of a text game.

    ``action`` is empty in the mode ``tick``; ``uuid_base`` is the first uuid that is free for new
    objects; ``task`` is the game's task in words.
    """

    keys: ClassVar[Mapping[str, type]] = {
        "game": str, "mode": str, "action": str, "state": dict, "target": dict, "uuid_base": int,
        "task": str, "changed": bool,
    }  # fmt: skip
    outcome = ("action", "target")

    game: str
    mode: Mode
    action: str
    state: GameState
    target: GameState
    uuid_base: int
    task: str

    @property
    def changed(self) -> bool:
        return bool(self.changed_facts)

    def traits(self) -> Traits:
        before, after = canonical(self.state), canonical(self.target)
        return Traits(self.mode, self.game, self.action, before, after, shards=self.mode)

    def problem(self, document: Mapping[str, Any]) -> str | None:
        if self.mode not in get_args(Mode):
            return f"mode must be one of {', '.join(get_args(Mode))}, got {self.mode}"
        for side in ("state", "target"):
            problem = state_problem(document[side])
            if problem is not None:
                return f"{side}: {problem}"
            if (document[side]["score"] is None) != (self.mode in WITHOUT_SCORE):
                need = "be null" if self.mode in WITHOUT_SCORE else "not be null"
                return f"{side}: score must {need} in mode {self.mode}"
        if self.changed is not document["changed"]:
            return (
                f"changed is {document['changed']}, but state and target say {self.changed}; write "
                "the document with Transition.to_json"
            )
        return None

    @cached_property
    def difference(self) -> Difference:
        return diff(self.state, self.target)

    @cached_property
    def state_facts(self) -> Facts:
        return state_facts(self.state)

    @cached_property
    def target_facts(self) -> Facts:
        return state_facts(self.target)

    @cached_property
    def changed_facts(self) -> Facts:
        return changed_facts(self.state_facts, self.target_facts)


def diff(state: GameState, target: GameState) -> Difference:
    """The difference that leads from a state to another one.

    Objects whose ``contains`` only has another order are not listed.
    """
    before = {item["uuid"]: item for item in state["objects"]}
    after = {item["uuid"] for item in target["objects"]}
    modified = [
        item
        for item in target["objects"]
        if (old := before.get(item["uuid"])) is None
        or not same_facts(object_facts(old), object_facts(item))
    ]
    return {
        "modified": modified,
        "removed": [uuid for uuid in before if uuid not in after],
        "score": {} if same_value(state["score"], target["score"]) else target["score"],
    }


def apply(state: GameState, difference: Difference) -> GameState:
    """The state that a difference leads to; objects that it adds come last."""
    modified = {item["uuid"]: item for item in difference["modified"]}
    removed = set(difference["removed"])
    objects = [
        modified.pop(item["uuid"], item) for item in state["objects"] if item["uuid"] not in removed
    ]
    return {
        "objects": [*objects, *modified.values()],
        "score": difference["score"] or state["score"],
    }
