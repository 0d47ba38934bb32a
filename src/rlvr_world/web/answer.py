"""Answers about what changes on a web page: writing them, and finding and reading a model's.

An answer has three sections, with an empty line between them and ``None`` in an empty one::

    New items:
    [n1] alert 'Saved'

    Deleted items:
    None

    Updated items:
    [7] textbox 'Name' value: Ann

New items have the ids n1, n2 and so on, since the true ones cannot be known; updated ones have the
id that they have on the page before. A deleted item may be its id alone.

Reading passes over what models write around that where it is unambiguous: reasoning before it,
bullets before items, Markdown around the names of sections, and an item or ``None`` on their lines.
Only the last answer of a text counts.
"""

import re
from collections.abc import Iterable, Sequence

from rlvr_world.language.judge import BadAnswer
from rlvr_world.language.reasoning import check_finished, split_reasoning
from rlvr_world.language.transition import Style
from rlvr_world.web.changes import Changes
from rlvr_world.web.tree import Element, line_text, parse_line

HEADERS = ("New items:", "Deleted items:", "Updated items:")
NOTHING = "None"
_ID = re.compile(r"\[([^\]\s]+)\]")
_BULLET = r"(?:(?:[-*+•>]|#{1,6}|\d{1,3}[.)])\s+)?"
_BOLD = r"(?:\*{1,3}|_{1,2}|`)?"
_HEADER = re.compile(
    rf"(?:</think>)?\s*{_BULLET}{_BOLD}(?P<name>new|deleted|updated) items{_BOLD}:{_BOLD}"
    r"(?P<rest>.*)",
    re.IGNORECASE,
)
_LISTED = re.compile(rf"{_BULLET}(?P<item>\S.*)")
_NOTHING = re.compile(r"[*_(]{0,3}None[*_).]{0,3}", re.IGNORECASE)


def changes_text(changes: Changes, style: Style, own_ids: bool = False) -> str:
    """The answer that says some changes; ``compact`` says of deleted items their ids alone.

    New items keep the ids that they have only if ``own_ids`` says so.
    """
    named = changes.new if own_ids else numbered(changes.new)
    new = [line_text(item) for item in named]
    deleted = [
        f"[{item.id}]" if style == "compact" else line_text(item) for item in changes.deleted
    ]
    updated = [line_text(item) for item in changes.updated]
    sections = zip(HEADERS, (new, deleted, updated), strict=True)
    return "\n\n".join("\n".join([header, *(lines or [NOTHING])]) for header, lines in sections)


def numbered(items: Iterable[Element]) -> list[Element]:
    """New items under the ids n1, n2 and so on."""
    return [item._replace(id=f"n{n}") for n, item in enumerate(items, 1)]


def read_changes(text: str) -> Changes:
    """Read the last answer in a text, strictly; the time grows with the text's length.

    A deleted item that is its id alone has the role and the name ''. A last line ``` is left out.

    Raises:
        BadAnswer: There is no answer, its sections are not the three ones in their order, or
            something in them is neither items nor None.
    """
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    sections = _sections(lines[:-1] if lines[-1:] == ["```"] else lines)
    if not sections:
        raise BadAnswer("no answer", f"the text has no line `{HEADERS[0]}`")
    if tuple(name for name, _ in sections) != HEADERS:
        raise BadAnswer("wrong shape", f"an answer must have the sections {' '.join(HEADERS)}")
    return Changes(*(_items(name, rows) for name, rows in sections))


def reasoning_before(text: str) -> str:
    """What a text says before its last answer; nothing if it holds no answer."""
    reasoning, answer = split_reasoning(text)
    lines = answer.split("\n")
    heads = [_HEADER.fullmatch(line.strip()) for line in lines]
    starts = [n for n, head in enumerate(heads) if head and head["name"].lower() == "new"]
    if not starts:
        return ""
    before = "\n".join(lines[: starts[-1]]).strip().removesuffix("```").strip()
    return "\n".join(filter(None, (reasoning, before)))


def _sections(lines: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The name of each section from the last new items on, and the lines below it."""
    sections: list[tuple[str, list[str]]] = []
    start = 0
    for number, line in enumerate(lines):
        header = _HEADER.fullmatch(line)
        name = f"{header['name'].capitalize()} items:" if header else ""
        if name == HEADERS[0]:
            start = number
            sections.clear()
        if header and (sections or name == HEADERS[0]):
            sections.append((name, list(filter(None, [header["rest"].strip()]))))
        elif sections:
            sections[-1][1].append(line)
    check_finished("\n".join([*lines[:start], lines[start].partition("[")[0]] if lines else []))
    return sections


def _items(header: str, lines: Sequence[str]) -> tuple[Element, ...]:
    """The items in the lines of a section."""
    rows = [match["item"] for match in map(_LISTED.fullmatch, lines) if match]
    if len(rows) == 1 and _NOTHING.fullmatch(rows[0]):
        return ()
    if not rows:
        raise BadAnswer("wrong shape", f"`{header}` is followed by neither items nor {NOTHING}")
    return tuple(_item(row, bare=header == HEADERS[1]) for row in rows)


def _item(line: str, bare: bool) -> Element:
    """The item in a line, which may be an id alone if ``bare`` says so."""
    alone = _ID.fullmatch(line) if bare else None
    if alone is not None:
        return Element(alone[1], "", "")
    item = parse_line(line)
    if item is None:
        raise BadAnswer("wrong shape", f"this is no item: {line[:80]}")
    return item
