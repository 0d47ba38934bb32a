"""Which elements of a page an objective names, by their words."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from rlvr_world.web.sources.following import FINISHING
from rlvr_world.web.sources.policies import FIELDS, is_named, plain, quoted
from rlvr_world.web.tree import Element

ENDINGS = (*FINISHING, "register", "add to cart")
"""Names of what ends a form."""

MASK = "•"
"""What fields of passwords show for each letter."""

EMPTY = frozenset({
    "a", "an", "and", "or", "the", "of", "to", "in", "into", "on", "from", "for", "with", "by",
    "at", "as", "is", "it", "its", "that", "this", "then", "them", "all", "any", "click", "press",
    "select", "enter", "choose", "find", "use", "type", "button", "link", "text", "field", "box",
    "list", "page",
})  # fmt: skip
"""Words that name nothing on a page."""


class Facts(NamedTuple):
    """How much of an objective a page holds: what is met, wanted but missing, and wrong."""

    met: int
    missing: int
    wrong: int


@lru_cache(maxsize=1024)
def wanted_words(objective: str) -> frozenset[str]:
    """The words of an objective that may name something."""
    return frozenset(plain(objective).split()) - EMPTY


@lru_cache(maxsize=1024)
def wanted_texts(objective: str) -> tuple[str, ...]:
    """What the objective may want to be typed: quoted texts, or else its words."""
    said = dict.fromkeys(quoted(objective))
    words = (word for word in re.findall(r"[\w@/.-]*\w", objective) if word.lower() not in EMPTY)
    return tuple(said) or tuple(dict.fromkeys(words))


def overlap(element: Element, objective: str) -> float:
    """The share of the words of an element's name that the objective holds, in [0, 1]."""
    words = set(plain(element.name).split()) - EMPTY
    return len(words & wanted_words(objective)) / len(words) if words else 0.0


def finishes(element: Element) -> bool:
    """Whether an element ends a form, by its name."""
    return plain(element.name).strip() in ENDINGS


def is_on(element: Element) -> bool | None:
    """Whether a choice is chosen; None for elements that are no choice."""
    properties = dict(element.properties)
    if "checked" in properties:
        return properties["checked"] == "true"
    return "selected" in properties if element.role == "option" else None


def held(element: Element) -> str:
    """The text in a field; empty if there is none."""
    return dict(element.properties).get("value", "") if element.role in FIELDS else ""


def holds(field: Element, texts: Sequence[str]) -> bool:
    """Whether a field holds one of some texts, or as many dots, as fields of passwords do."""
    text = held(field).lower()
    if text and not text.strip(MASK):
        return any(len(wanted) == len(text) for wanted in texts)
    return any(wanted.lower() == text for wanted in texts)


def facts(elements: Sequence[Element], objective: str) -> Facts:
    """How much of an objective a page holds in its fields and choices."""
    met = missing = wrong = filled = fields = 0
    for element in elements:
        on, named = is_on(element), is_named(element, objective)
        if on is not None:
            met += on and named
            missing += named and not on
            wrong += on and not named and element.role == "checkbox"
        elif element.role in FIELDS:
            right = holds(element, wanted_texts(objective))
            fields += 1
            filled += bool(held(element))
            met += right
            wrong += bool(held(element)) and not right
    missing += max(min(fields, len(quoted(objective))) - filled, 0)
    return Facts(met, missing, wrong)
