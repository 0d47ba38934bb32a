"""What can be done on a web page: actions and their text, such as ``type [12] [red shoes] [1]``.

The grammar is WebArena's (Zhou et al., 2024): elements by id, everything else in brackets.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal, Self

Kind = Literal[
    "click", "type", "hover", "press", "scroll", "new_tab", "tab_focus", "close_tab", "goto",
    "go_back", "go_forward", "stop",
]  # fmt: skip

WITH_ELEMENT = ("click", "type", "hover")
WITH_TEXT = ("type", "press", "scroll", "tab_focus", "goto", "stop")
ALONE = ("new_tab", "close_tab", "go_back", "go_forward")
LONGEST = 10_000
"""Characters of an action, at most."""

_ELEMENT = r"\[(?P<element>[^\]\s]+)\]"
_TARGET = r" where \[(?P=element)\] is(?: (?P<target>\S(?:.*\S)?))?"
_FORMS = (
    re.compile(rf"(?P<kind>click|hover) {_ELEMENT}(?:{_TARGET})?"),
    re.compile(rf"(?P<kind>type) {_ELEMENT} \[(?P<text>.*)\] \[(?P<enter>[01])\]"),
    re.compile(rf"(?P<kind>type) {_ELEMENT} \[(?P<text>.*?)\] \[(?P<enter>[01])\]{_TARGET}"),
    re.compile(rf"(?P<kind>type) {_ELEMENT} \[(?P<text>.*?)(?P<enter>\n?)\]{_TARGET}"),
    re.compile(rf"(?P<kind>type) {_ELEMENT} \[(?P<text>.*)\]"),
    re.compile(r"(?P<kind>press|goto) \[(?P<text>\S+)\]"),
    re.compile(r"(?P<kind>scroll) \[(?:direction=)?(?P<text>up|down)\]"),
    re.compile(r"(?P<kind>tab_focus|page_focus) \[(?P<text>\d{1,4})\]"),
    re.compile(r"(?P<kind>stop) \[(?P<text>.*)\]"),
    re.compile(rf"(?P<kind>{'|'.join(ALONE)}|stop)"),
)


@dataclass(frozen=True)
class Action:
    """One action.

    Args:
        kind: What is done.
        element: The id of the element that it is done to, of ``click``, ``type`` and ``hover``.
        text: The text to type, the key or keys to press (``Enter``, ``Control+a``), the direction
            to scroll, the number of the tab from 0, the URL, or the answer of ``stop``; one line.
        enter: Whether Enter follows a typed text.
        target: What the element is, in words, as published actions say; it may be empty.
    """

    kind: Kind
    element: str = ""
    text: str = ""
    enter: bool = False
    target: str = ""

    def __post_init__(self) -> None:
        if _match(str(self)) != (self.kind, self.element, self.text, self.enter, self.target):
            raise ValueError(f"this action cannot be written: {str(self)[:200]!r}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The action that a text says; white space around it does not count.

        ``type`` without its last part presses Enter, ``scroll`` may say ``direction=down`` and
        ``stop`` may stand alone, as in WebArena. Its trajectories say ``page_focus``, and after an
        element ``where [id] is`` and what it is; there ``type`` presses Enter only where its text
        ends with a line break.

        Raises:
            ValueError: The text is no action.
        """
        found = _match(text.strip())
        if found is None:
            raise ValueError(f"no action: {text.strip()[:200]!r}")
        return cls(*found)

    def __str__(self) -> str:
        parts: list[str] = [self.kind]
        if self.kind in WITH_ELEMENT:
            parts.append(f"[{self.element}]")
        if self.kind in WITH_TEXT:
            parts.append(f"[{self.text}]")
        if self.kind == "type":
            parts.append(f"[{int(self.enter)}]")
        if self.target:
            parts.append(f"where [{self.element}] is {self.target}")
        return " ".join(parts)


def _match(text: str) -> tuple[Kind, str, str, bool, str] | None:
    """The fields of the action that a text says."""
    if len(text) > LONGEST:
        return None
    for form in _FORMS:
        match = form.fullmatch(text)
        if match:
            parts: dict[str, Any] = match.groupdict("")
            kind: Any = parts["kind"].replace("page_focus", "tab_focus")
            enter = kind == "type" and parts.get("enter", "1") in ("1", "\n")
            element, said, target = (parts.get(name, "") for name in ("element", "text", "target"))
            return kind, element, said, enter, target
    return None
