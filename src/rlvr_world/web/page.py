"""A step on a web page: the page, the action and the true next page, and what changes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self, TypeVar

from rlvr_world.web.changes import Changes, extract
from rlvr_world.web.tree import Element, parse_tree

T = TypeVar("T")


@dataclass(frozen=True)
class WebTransition:
    """One step on a web page.

    Args:
        site: The site or the collection that the page belongs to, such as ``miniwob``.
        task: The task or the kind of page; tables compare tasks, splits hold some of them out.
        url: The address before the step.
        objective: What the user wants, in words; may be empty.
        previous_action: The action that led here; may be empty.
        action: The action.
        tree: The page before the step, as ``web_tree`` writes it.
        next_url: The address after the step.
        next_tree: The page after the step.

    ``memory`` is for ``once``; it lives as long as the transition, so as long as a batch.
    """

    site: str
    task: str
    url: str
    objective: str
    previous_action: str
    action: str
    tree: str
    next_url: str
    next_tree: str
    memory: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def from_json(cls, document: Any, where: str = "transition") -> Self:
        """Check a JSON document and take it as a transition; other keys are ignored.

        Args:
            document: The parsed document.
            where: The document's name in messages, such as a file and a line.

        Raises:
            ValueError: Something is missing or of a wrong type, or a tree cannot be read.
        """
        if not isinstance(document, Mapping):
            raise ValueError(
                f"{where}: a transition must be a JSON object, got {type(document).__name__}"
            )
        for key in _KEYS:
            if key not in document:
                raise ValueError(f"{where}: the key {key} is missing")
            if type(document[key]) is not str:
                got = type(document[key]).__name__
                raise ValueError(f"{where}: {key} must be of type str, got {got}")
        transition = cls(**{key: document[key] for key in _KEYS})
        for side, page in (("tree", "elements"), ("next_tree", "next_elements")):
            try:
                getattr(transition, page)
            except ValueError as error:
                raise ValueError(f"{where}: {side}: {error}") from None
        return transition

    def to_json(self) -> dict[str, str]:
        """The document that ``from_json`` reads."""
        return {key: getattr(self, key) for key in _KEYS}

    def once(self, key: Any, work: Callable[[], T]) -> T:
        """The result of some work on this transition that is done once for each key."""
        if key not in self.memory:
            self.memory[key] = work()
        return self.memory[key]

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """The elements of the page before the step."""
        return tuple(parse_tree(self.tree))

    @cached_property
    def next_elements(self) -> tuple[Element, ...]:
        """The elements of the page after the step."""
        return tuple(parse_tree(self.next_tree))

    @cached_property
    def changes(self) -> Changes:
        """The right answer: what changes on the page."""
        return extract(self.elements, self.next_elements)

    @property
    def changed(self) -> bool:
        """Whether anything changes; order, depth and the address do not count."""
        return self.changes.total > 0


_KEYS = (
    "site", "task", "url", "objective", "previous_action", "action", "tree", "next_url",
    "next_tree",
)  # fmt: skip
