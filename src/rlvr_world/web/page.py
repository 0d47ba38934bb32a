"""A step on a web page: the page, the action and the true next page, and what changes."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Self

from rlvr_world.language.transition import TextTransition, Traits
from rlvr_world.web.changes import Changes, content, extract
from rlvr_world.web.tree import Element, parse_line, parse_tree, tree_text

IDS = re.compile(r"\[([^\]\s]+)\]")


@dataclass(frozen=True)
class WebTransition(TextTransition):
    """One step on a web page.

    Args:
        site: The site or the collection that the page belongs to, such as ``miniwob``.
        task: The task or the kind of page; tables compare tasks, splits hold some of them out.
        url: The address before the step.
        objective: What the user wants, in words; may be empty.
        previous_action: The action that led here; may be empty.
        action: The action.
        tree: The page before the step, as ``tree_text`` writes it.
        next_url: The address after the step.
        next_tree: The page after the step.
        truth: By the names of ``Changes``, the lines of the items that a data set itself calls
            right; empty where they follow from the two pages.
    """

    keys: ClassVar[Mapping[str, type]] = dict.fromkeys(
        ("site", "task", "url", "objective", "previous_action", "action", "tree", "next_url",
         "next_tree"), str,
    )  # fmt: skip
    outcome = ("action", "next_url", "next_tree", "truth")

    site: str
    task: str
    url: str
    objective: str
    previous_action: str
    action: str
    tree: str
    next_url: str
    next_tree: str
    truth: Mapping[str, Sequence[str]] = field(default_factory=dict, kw_only=True, hash=False)

    @classmethod
    def from_json(cls, document: Any, where: str = "transition") -> Self:
        step = super().from_json(document, where)
        return replace(step, truth=document["truth"]) if "truth" in document else step

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | ({"truth": dict(self.truth)} if self.truth else {})

    def traits(self) -> Traits:
        """Site, task, address, objective, page and action, whatever ids the elements have."""
        number = {element.id: str(place) for place, element in enumerate(self.elements)}
        page = tree_text(element._replace(id=number[element.id]) for element in self.elements)
        return Traits(
            group=self.site,
            subject=self.task,
            action=IDS.sub(lambda match: f"[{number.get(match[1], match[1])}]", self.action),
            before="\n".join((self.url, self.objective, page)),
            after=json.dumps([self.next_url, sorted(map(content, self.next_elements))]),
        )

    def problem(self, document: Mapping[str, Any]) -> str | None:
        """Which tree or truth cannot be read and why, in words, or None."""
        for side, page in (("tree", "elements"), ("next_tree", "next_elements")):
            try:
                getattr(self, page)
            except ValueError as error:
                return f"{side}: {error}"
        return _truth_problem(document["truth"]) if "truth" in document else None

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        return tuple(parse_tree(self.tree))

    @cached_property
    def next_elements(self) -> tuple[Element, ...]:
        return tuple(parse_tree(self.next_tree))

    @cached_property
    def changes(self) -> Changes:
        """The right answer: what changes on the page."""
        if self.truth:
            sections = (self.truth[name] for name in Changes._fields)
            return Changes(*(tuple(filter(None, map(parse_line, lines))) for lines in sections))
        return extract(self.elements, self.next_elements)

    @property
    def changed(self) -> bool:
        """Whether anything changes; order, depth and the address do not count."""
        return self.changes.total > 0


def _truth_problem(truth: Any) -> str | None:
    """What is wrong with a truth from a document, in words, or None."""
    names = ", ".join(Changes._fields)
    if not isinstance(truth, dict) or truth.keys() != set(Changes._fields):
        return f"truth must hold exactly {names}"
    for name, lines in truth.items():
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            return f"truth: {name} must be a list of lines"
        for line in lines:
            if parse_line(line) is None:
                return f"truth: {name}: not `[id] role 'name' key: value`: {line[:80]!r}"
    return None
