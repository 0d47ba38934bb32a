"""A page as its accessibility tree in words: one element a line, as WebArena writes them.

A line is ``[id] role 'name' key: value key2: value2`` behind one tab for each level of depth. Names
are quoted and escaped as Python does, so that a name stays on its line whatever it holds; a value
is quoted only where it could be misread. Source: Zhou et al., "WebArena", 2024.
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


_QUOTED = r"""(?:'(?:[^'\\\n]|\\.)*+'|"(?:[^"\\\n]|\\.)*+")"""
_KEY = r"[\w-]++"
_PLAIN = rf"(?!['\"])\S++(?: (?!{_KEY}:(?: |$))\S++)*+"
_LINE = re.compile(
    rf"(\t*+)\[([^\]\s]++)\] (\S++) ({_QUOTED})((?: {_KEY}: (?:{_QUOTED}|{_PLAIN}))*+)"
)
_PROPERTY = re.compile(rf" ({_KEY}): ({_QUOTED}|{_PLAIN})")
_VALUE = re.compile(_PLAIN)
_ESCAPE = re.compile(r"\\(?:x([\da-f]{2})|u([\da-f]{4})|U((?:000\d|000[a-f]|0010)[\da-f]{4})|(.))")
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", '"': '"'}


def parse_line(line: str) -> Element | None:
    """The element in a line, or None if there is none; the time grows with the line's length."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    indent, name, role, quoted, properties = match.groups()
    pairs = _PROPERTY.findall(properties) if properties else ()
    return Element(
        name,
        role,
        _unquoted(quoted),
        tuple((key, _unquoted(value)) for key, value in pairs),
        len(indent),
    )


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
    parts = [f"[{element.id}] {element.role} {element.name!r}"]
    parts += [f"{key}: {_value_text(value)}" for key, value in element.properties]
    return " ".join(parts)


def _value_text(value: str) -> str:
    return value if _VALUE.fullmatch(value) else repr(value)


def _unquoted(text: str) -> str:
    """The text that a quoted or plain part of a line says."""
    if text[0] not in "'\"":
        return text
    return _ESCAPE.sub(_letter, text[1:-1]) if "\\" in text else text[1:-1]


def _letter(match: re.Match[str]) -> str:
    """The letter that an escape stands for; an unknown escape stays as it is."""
    code = match[1] or match[2] or match[3]
    return chr(int(code, 16)) if code else _LETTERS.get(match[4], match[0])
