"""Pages as others write them: line by line, with what cannot be used counted and named.

WebArena's lines are those of ``tree``, below one that names the browser's tabs. BrowserGym's are
``[a5] button 'Buy' value='x', focused, expanded=False``; its texts have no id and get one here.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rlvr_world.web.tree import QUOTED, Element, parse_line, unquoted

TABS = re.compile(r"Tab \d+")
_VALUE = rf"(?:{QUOTED}|[^\s,'\"]++)"
_COMMA_LINE = re.compile(
    rf"(?P<indent>\t*+)(?:\[(?P<id>[^\]\s]++)\] )?(?:(?P<role>\S++) (?P<name>{QUOTED})|generic)"
    rf"(?: value=(?P<value>{_VALUE}))?(?P<rest>(?:, [\w-]++(?:={_VALUE})?)*+)"
)
_PROPERTY = re.compile(rf", ([\w-]++)(?:=({_VALUE}))?")


@dataclass
class LeftOut:
    """The lines of pages that could not be used.

    Args:
        lines: Their number.
        first: In which file and row the first one stands, what it is and why it is left out.
    """

    lines: int = 0
    first: str = ""

    def add(self, where: str, line: str, reason: str) -> None:
        self.lines += 1
        self.first = self.first or f"{Path(where).name}: {line.strip()[:80]!r} {reason}"


def read_page(text: str, where: str, left_out: LeftOut) -> list[Element]:
    """The elements of a page; its lines that hold none or an id again go to ``left_out``.

    Empty lines and those that name browser tabs do not count.
    """
    elements: dict[str, Element] = {}
    names = _Names()
    for raw in text.split("\n"):
        line = raw.removesuffix("\r")
        if not line.strip() or TABS.match(line):
            continue
        element = parse_line(line) or parse_comma_line(line.rstrip())
        if element is None:
            left_out.add(where, line, "holds no element")
            continue
        element = names.named(element)
        if element.id in elements:
            left_out.add(where, line, "has an id that stands above")
        else:
            elements[element.id] = element
    return list(elements.values())


def parse_comma_line(line: str) -> Element | None:
    """The element in a line as BrowserGym writes it; its id is empty where the line has none."""
    match = _COMMA_LINE.fullmatch(line)
    if match is None or not (match["id"] or match["role"]):
        return None
    pairs = [("value", match["value"])] if match["value"] else []
    pairs += [(found[1], found[2] or "True") for found in _PROPERTY.finditer(match["rest"])]
    return Element(
        id=match["id"] or "",
        role=match["role"] or "generic",
        name=unquoted(match["name"] or "''"),
        properties=tuple((key, unquoted(value)) for key, value in pairs),
        depth=len(match["indent"]),
    )


@dataclass
class _Names:
    """Gives elements without an id one: that of the element around them, and a number."""

    around: list[tuple[int, str]] = field(default_factory=list)
    numbers: Counter[str] = field(default_factory=Counter)

    def named(self, element: Element) -> Element:
        while self.around and self.around[-1][0] >= element.depth:
            self.around.pop()
        if element.id:
            self.around.append((element.depth, element.id))
            return element
        outer = self.around[-1][1] if self.around else "page"
        self.numbers[outer] += 1
        return element._replace(id=f"{outer}.{self.numbers[outer]}")
