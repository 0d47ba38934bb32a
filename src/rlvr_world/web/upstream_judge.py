"""The original's rule for web pages, for comparing numbers.

Source: RLVR-World, ``reward_score/web_agent.py``. All lines of the text count, drafts included, as
sets by section; items are equal if their lines are, ids included; ``None`` is an item, and what
stands on a header's own line is lost. New items have the ids that they really got.
"""

from collections.abc import Iterable

from rlvr_world.web.answer import HEADERS, NOTHING
from rlvr_world.web.judgement import WebJudgement
from rlvr_world.web.page import WebTransition
from rlvr_world.web.tree import line_text


def upstream_judgement(text: str, transition: WebTransition) -> WebJudgement:
    """Judge the answer in a text."""
    found = _sections(text.split("\n"))
    if not any(found):
        return WebJudgement("no answer")
    true = transition.once("upstream", lambda: [_lines(items) for items in transition.changes])
    matched = sum(len(lines & own) for lines, own in zip(found, true, strict=True))
    return WebJudgement.of_counts(matched, sum(map(len, found)), sum(map(len, true)))


def _lines(items: Iterable) -> set[str]:
    """The lines of a section of the truth."""
    return {line_text(item) for item in items} or {NOTHING}


def _sections(lines: Iterable[str]) -> list[set[str]]:
    """The lines of each section of a text, empty ones left out."""
    sections: list[set[str]] = [set() for _ in HEADERS]
    current = None
    for line in map(str.strip, lines):
        started = [n for n, header in enumerate(HEADERS) if line.startswith(header)]
        if started:
            current = sections[started[0]]
        elif line and current is not None:
            current.add(line)
    return sections
