"""The rows of the files of the published WebArena world-model data."""

import re
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

from rlvr_world.data.samples import BadSample
from rlvr_world.web.answer import reasoning_before
from rlvr_world.web.page import WebTransition
from rlvr_world.web.tree import Element, parse_line, tree_text

COLUMNS = ("task_id", "question", "next_state_acctree")
TITLES = ("URL", "OBJECTIVE", "PREVIOUS ACTION", "CURRENT OBSERVATION", "CURRENT ACTION")
SECTION = re.compile(rf"^({'|'.join(TITLES)})[^:\n]*:", re.MULTILINE)
TAB = re.compile(r"Tab \d+")


def transition(row: Any, where: str, counts: Counter[str]) -> WebTransition:
    """The step that a row says.

    The page before, the address, the objective and the actions stand in the row's question. The
    address afterwards is not known and left empty. Reasoning is what its answer, if it has one,
    says before the items.

    Args:
        row: The row's values by column.
        where: The row's name in messages.
        counts: Gets the number of ``lines_left_out`` of pages, which hold no element or its id
            again.

    Raises:
        BadSample: Something is missing or cannot be read.
    """
    missing = [name for name in COLUMNS if not isinstance(row, dict) or row.get(name) is None]
    if missing:
        raise BadSample(f"{where} has no {missing[0]}")
    parts = sections(str(row["question"]), where)
    url, objective, previous, page, action = (parts[title] for title in TITLES)
    trees = {"tree": page, "next_tree": str(row["next_state_acctree"])}
    for side, text in trees.items():
        elements, left_out = read_page(text)
        if not elements:
            raise BadSample(f"{where}: {side} holds no element")
        counts["lines_left_out"] += left_out
        trees[side] = tree_text(elements)
    return WebTransition(
        site=urlsplit(url).netloc or "webarena",
        task=f"webarena-{row['task_id']}",
        url=url,
        objective=objective,
        previous_action="" if previous == "None" else previous,
        action=action.partition("\n")[0].strip(),
        next_url="",
        **trees,
        reasoning=reasoning_before(str(row.get("answer") or "")),
    )


def sections(question: str, where: str) -> dict[str, str]:
    """What stands under each of ``TITLES``, at its last occurrence, in a prompt.

    Raises:
        BadSample: They are not all there, in their order.
    """
    last = {match[1]: match for match in SECTION.finditer(question)}
    found = sorted(last.values(), key=re.Match.start)
    if tuple(match[1] for match in found) != TITLES:
        raise BadSample(f"{where}: its question lacks the lines {': '.join(TITLES)}: in this order")
    ends = [*(match.start() for match in found[1:]), len(question)]
    pairs = zip(found, ends, strict=True)
    return {match[1]: question[match.end() : end].strip("\n ") for match, end in pairs}


def read_page(text: str) -> tuple[list[Element], int]:
    """The elements of a page, and the number of lines that hold none or an id again.

    Empty lines and those that name browser tabs do not count.
    """
    elements: dict[str, Element] = {}
    left_out = 0
    for line in text.split("\n"):
        if not line.strip() or TAB.match(line):
            continue
        element = parse_line(line.rstrip())
        if element is None or element.id in elements:
            left_out += 1
        else:
            elements[element.id] = element
    return list(elements.values()), left_out
