"""A step of a text game: the state, the action and the true next state, and their difference."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Self, TypedDict, TypeVar, get_args

from rlvr_world.text_game.facts import (
    Facts,
    changed_facts,
    object_facts,
    same_facts,
    same_value,
    state_facts,
)
from rlvr_world.text_game.game_state import GameObject, GameState, Score, state_problem

T = TypeVar("T")

Mode = Literal["full", "action", "tick", "score"]
"""What a step covers: an action and the tick after it with the score, the action alone, the tick
alone, or the score alone. ``action`` and ``tick`` have no score."""

WITHOUT_SCORE = ("action", "tick")


class Difference(TypedDict):
    """A next state by what changed: whole objects, uuids, and the score or {} if it is the same."""

    modified: list[GameObject]
    removed: list[int]
    score: Score | dict[str, Any]


@dataclass(frozen=True)
class Transition:
    """One step of a text game.

    Args:
        game: Name of the game.
        mode: What the step covers.
        action: The action, empty in the mode ``tick``.
        state: The state before the step.
        target: The true state after it.
        uuid_base: The first uuid that is free for new objects.
        task: The game's task in words.

    ``memory`` is for ``once``; it lives as long as the transition, so as long as a batch.
    """

    game: str
    mode: Mode
    action: str
    state: GameState
    target: GameState
    uuid_base: int
    task: str
    memory: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def from_json(cls, document: Any, where: str = "transition") -> Self:
        """Check a JSON document and take it as a transition; other keys are ignored.

        Args:
            document: The parsed document; its states are kept and must not be changed afterwards.
            where: The document's name in messages, such as a file and a line.

        Raises:
            ValueError: Something is missing, too much or of a wrong type.
        """
        problem = _problem(document)
        if problem is not None:
            raise ValueError(f"{where}: {problem}")
        transition = cls(**{key: document[key] for key in _KEYS})
        if transition.changed is not document["changed"]:
            raise ValueError(
                f"{where}: changed is {document['changed']}, but state and target say "
                f"{transition.changed}; write the document with Transition.to_json"
            )
        return transition

    def to_json(self) -> dict[str, Any]:
        """The document that ``from_json`` reads."""
        return {key: getattr(self, key) for key in _KEYS} | {"changed": self.changed}

    @property
    def changed(self) -> bool:
        """Whether the target differs from the state in anything."""
        return bool(self.changed_facts)

    def once(self, key: Any, work: Callable[[], T]) -> T:
        """The result of some work on this transition that is done once for each key."""
        if key not in self.memory:
            self.memory[key] = work()
        return self.memory[key]

    @cached_property
    def difference(self) -> Difference:
        """The right answer as a difference."""
        return diff(self.state, self.target)

    @cached_property
    def state_facts(self) -> Facts:
        """The facts of the state."""
        return state_facts(self.state)

    @cached_property
    def target_facts(self) -> Facts:
        """The facts of the target."""
        return state_facts(self.target)

    @cached_property
    def changed_facts(self) -> Facts:
        """The facts in which the target differs from the state."""
        return changed_facts(self.state_facts, self.target_facts)


_KEYS = {
    "game": str, "mode": str, "action": str, "state": dict, "target": dict, "uuid_base": int,
    "task": str,
}  # fmt: skip


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


def _problem(document: Any) -> str | None:
    """What is wrong with a transition's document, in words, or None."""
    expected = _KEYS | {"changed": bool}
    if not isinstance(document, Mapping):
        return f"a transition must be a JSON object, got {type(document).__name__}"
    for key, kind in expected.items():
        if key not in document:
            return f"the key {key} is missing"
        if type(document[key]) is not kind:
            got = type(document[key]).__name__
            return f"{key} must be of type {kind.__name__}, got {got}"
    mode = document["mode"]
    if mode not in get_args(Mode):
        return f"mode must be one of {', '.join(get_args(Mode))}, got {mode}"
    for side in ("state", "target"):
        problem = state_problem(document[side])
        if problem is not None:
            return f"{side}: {problem}"
        if (document[side]["score"] is None) != (mode in WITHOUT_SCORE):
            need = "be null" if mode in WITHOUT_SCORE else "not be null"
            return f"{side}: score must {need} in mode {mode}"
    return None
