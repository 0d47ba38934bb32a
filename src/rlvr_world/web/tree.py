"""A page as its accessibility tree in words: one element a line, as WebArena writes them.

A line is ``[id] role 'name' key: value key2: value2`` behind one tab for each level of depth. Names
are quoted and escaped as Python does, so that a name stays on its line whatever it holds. Values
stand as they are, as WebArena writes them: they may be empty, hold several blanks or an unclosed
quote, and end where the next ``key:`` begins. One that would be misread is quoted. A blank that is
lost at the end of a line changes nothing. Source: Zhou et al., "WebArena", 2024.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple


class Element(NamedTuple):
    """One element of a page.

    Args:
        id: What actions call it; neither empty nor with white space or ``]``.
        role: Its role in the accessibility tree, one word.
        name: Its accessible name, any text.
        properties: Pairs of a key (letters, digits, ``_`` and ``-``) and any text.
        depth: How deep it stands in the tree, from 0.
    """

    id: str
    role: str
    name: str
    properties: tuple[tuple[str, str], ...] = ()
    depth: int = 0


QUOTED = r"""(?:'(?:[^'\\\n]|\\.)*+'|"(?:[^"\\\n]|\\.)*+")"""
"""A pattern of a text in quotes, escaped as Python does."""

_KEY = r"[\w-]++"
_LINE = re.compile(rf"(\t*+)\[([^\]\s]++)\] (\S++) ({QUOTED})((?: {_KEY}:(?: .*+)?)?)")
_NEXT = re.compile(rf" ({_KEY}): ")
_QUOTED_VALUE = re.compile(rf"({QUOTED})(?= {_KEY}: |\Z)")
_MARKS = ("'", '"')
_WHOLE = re.compile(QUOTED)
_PLAIN = re.compile(rf"(?!['\"])\S++(?: (?!{_KEY}:(?: |$))\S++)*+")
_TEXTS = (
    "activedescendant|autocomplete|controls|describedby|details|errormessage|flowto|hasPopup|"
    "keyshortcuts|labelledby|live|orientation|owns|placeholder|relevant|roledescription|url|value|"
    "valuetext"
)
"""Keys whose values may be empty."""

_LOST_BLANK = re.compile(rf" (?:{_TEXTS}):\Z")
_ESCAPE = re.compile(r"\\(?:x([\da-f]{2})|u([\da-f]{4})|U((?:000\d|000[a-f]|0010)[\da-f]{4})|(.))")
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", '"': '"'}


def parse_line(line: str) -> Element | None:
    """The element in a line, or None if there is none; the time grows with the line's length."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    indent, name, role, quoted, rest = match.groups()
    properties = _properties(rest)
    if properties is None:
        return None
    return Element(name, role, unquoted(quoted), properties, len(indent))


def _properties(text: str) -> tuple[tuple[str, str], ...] | None:
    """The properties in the rest of a line, or None if it does not begin with one."""
    if _LOST_BLANK.search(text):
        text += " "
    pairs: list[tuple[str, str]] = []
    end = 0
    while end < len(text):
        key = _NEXT.match(text, end)
        if key is None:
            return None
        quoted = _QUOTED_VALUE.match(text, key.end())
        if quoted and not _PLAIN.fullmatch(value := unquoted(quoted[1])):
            end = quoted.end()
        else:
            following = _NEXT.search(text, key.end())
            end = following.start() if following else len(text)
            value = text[key.end() : end]
        pairs.append((key[1], value))
    return tuple(pairs)


def parse_tree(text: str) -> list[Element]:
    """The elements of a page, in its order; none of an empty text.

    Raises:
        ValueError: A line holds no element, or an id stands twice.
    """
    elements: dict[str, Element] = {}
    for number, line in enumerate(text.split("\n") if text else (), 1):
        element = parse_line(line)
        if element is None:
            raise ValueError(f"line {number} is not `[id] role 'name' key: value`: {line[:80]!r}")
        if element.id in elements:
            raise ValueError(f"line {number}: the id {element.id} stands twice")
        elements[element.id] = element
    return list(elements.values())


def tree_text(elements: Iterable[Element]) -> str:
    """The lines of a page, which ``parse_tree`` reads back as the same elements.

    Raises:
        ValueError: An element has an id, a role or a key that cannot be written, or an id stands
            twice.
    """
    lines: dict[str, str] = {}
    for element in elements:
        line = "\t" * element.depth + line_text(element)
        if element.id in lines or parse_line(line) != element:
            raise ValueError(f"this element cannot be written, or its id stands twice: {element}")
        lines[element.id] = line
    return "\n".join(lines.values())


def line_text(element: Element) -> str:
    """The line of one element, without its depth."""
    head = f"[{element.id}] {element.role} {element.name!r}"
    pairs = element.properties
    line = " ".join([head, *(f"{key}: {value}" for key, value in pairs)])
    if all(_PLAIN.fullmatch(value) for _, value in pairs) or _says(line, element):
        return line
    return " ".join([head, *(f"{key}: {_safe(value)}" for key, value in pairs)])


def bare(value: str) -> str:
    """A value without quotes around it and blanks at its end, which say nothing."""
    value = value.rstrip()
    return unquoted(value) if value[:1] in _MARKS and _WHOLE.fullmatch(value) else value


def _says(line: str, element: Element) -> bool:
    """Whether an element is read from its line, also when blanks at its end are lost."""
    if len(line.splitlines()) > 1:
        return False
    whole, cut = parse_line(line), parse_line(line.rstrip())
    if whole is None or cut is None or whole.properties != element.properties:
        return False
    return [bare(value) for _, value in cut.properties] == [
        bare(value) for _, value in element.properties
    ]


def _safe(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else repr(value)


def unquoted(text: str) -> str:
    """What a text in quotes says; one without quotes is what it says."""
    if text[:1] not in _MARKS:
        return text
    return _ESCAPE.sub(_letter, text[1:-1]) if "\\" in text else text[1:-1]


def _letter(match: re.Match[str]) -> str:
    """The letter that an escape stands for; an unknown escape stays as it is."""
    code = match[1] or match[2] or match[3]
    return chr(int(code, 16)) if code else _LETTERS.get(match[4], match[0])
