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
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from rlvr_world.language.judge import BadAnswer
from rlvr_world.language.transition import Style
from rlvr_world.web.changes import Changes
from rlvr_world.web.tree import Element, line_text, parse_line

HEADERS = ("New items:", "Deleted items:", "Updated items:")
NOTHING = "None"
_ID = re.compile(r"\[([^\]\s]+)\]")


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
    lines = [line.strip() for line in text.split("\n")]
    if HEADERS[0] not in lines:
        raise BadAnswer("no answer", f"the text has no line `{HEADERS[0]}`")
    start = len(lines) - 1 - lines[::-1].index(HEADERS[0])
    block = [line for line in lines[start:] if line]
    if block[-1] == "```":
        block.pop()
    new, deleted, updated = (_items(section) for section in _sections(block))
    return Changes(new, deleted, updated)


def _sections(block: Sequence[str]) -> Iterator[list[str]]:
    """The name and lines of each section of an answer."""
    places = [place for place, line in enumerate(block) if line in HEADERS]
    if tuple(block[place] for place in places) != HEADERS:
        raise BadAnswer("wrong shape", f"an answer must have the sections {' '.join(HEADERS)}")
    for start, end in zip(places, [*places[1:], len(block)], strict=True):
        yield list(block[start:end])


def _items(section: Sequence[str]) -> tuple[Element, ...]:
    """The items of a section, whose first line is its name."""
    header, *lines = section
    if lines == [NOTHING]:
        return ()
    items = tuple(_item(line, bare=header == HEADERS[1]) for line in lines)
    if not items:
        raise BadAnswer("wrong shape", f"`{header}` is followed by neither items nor {NOTHING}")
    return items


def _item(line: str, bare: bool) -> Element:
    """The item in a line, which may be an id alone if ``bare`` says so."""
    alone = _ID.fullmatch(line) if bare else None
    if alone is not None:
        return Element(alone[1], "", "")
    item = parse_line(line)
    if item is None:
        raise BadAnswer("wrong shape", f"this is no item: {line[:80]}")
    return item
