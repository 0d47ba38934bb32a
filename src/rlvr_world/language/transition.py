"""What a step in words is, of a text game or on a web page, whatever its state looks like."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypeVar

T = TypeVar("T")

Style = Literal["long", "compact"]
"""Prompts with instructions, or with the state and the action alone."""

Form = Literal["difference", "state"]
"""Whether an answer says what changes or the whole next state."""


class Traits(NamedTuple):
    """What tells a transition from others.

    ``group`` is what the manifest counts apart: the mode of a text game, the site of a page.
    ``subject`` is the game, or the page's task. ``before`` and ``after`` are texts that are the
    same for the same state. ``shards`` names the group that has shards of its own, if not all share
    them.
    """

    group: str
    subject: str
    action: str
    before: str
    after: str
    shards: str = ""


@dataclass(frozen=True)
class TextTransition(ABC):
    """One step. ``memory`` is for ``once``; it lives as long as the transition, so as a batch."""

    keys: ClassVar[Mapping[str, type]]
    """The keys of the JSON document and the types of their values."""

    outcome: ClassVar[Sequence[str]]
    """The fields that may differ where the state is the same: the action and its result."""

    memory: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    @abstractmethod
    def changed(self) -> bool:
        """Whether the step changes anything."""

    @abstractmethod
    def traits(self) -> Traits:
        """What tells the step from others."""

    @abstractmethod
    def problem(self, document: Mapping[str, Any]) -> str | None:
        """What else is wrong with the document of this step, in words, or None."""

    @classmethod
    def from_json(cls, document: Any, where: str = "transition") -> Self:
        """Check a JSON document, called ``where`` in messages, and take it as a transition.

        Other keys are ignored. Its values are kept and must not be changed afterwards.
        """
        if not isinstance(document, Mapping):
            got = type(document).__name__
            raise ValueError(f"{where}: a transition must be a JSON object, got {got}")
        for key, kind in cls.keys.items():
            if key not in document:
                raise ValueError(f"{where}: the key {key} is missing")
            if type(document[key]) is not kind:
                got = type(document[key]).__name__
                raise ValueError(f"{where}: {key} must be of type {kind.__name__}, got {got}")
        transition = cls(**{key: document[key] for key in cls.keys if key != "changed"})
        problem = transition.problem(document)
        if problem is not None:
            raise ValueError(f"{where}: {problem}")
        return transition

    def to_json(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in self.keys}

    def once(self, key: Any, work: Callable[[], T]) -> T:
        """The result of some work on this transition that is done once for each key."""
        if key not in self.memory:
            self.memory[key] = work()
        return self.memory[key]
