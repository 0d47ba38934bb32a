"""The judge of answers about what changes on web pages, and its two rules.

The strict rule: an answer is right if all of its items are, and none is missing. Only the last
answer in the text counts. New items are compared without their ids, and counted as often as they
occur; the second item of a section with the same id is wrong. Where nothing changes, saying so is
worth 1 and anything else 0; elsewhere, saying that nothing changes is worth 0.

The original's rule, for comparing numbers (RLVR-World, ``reward_score/web_agent.py``): all lines of
the text count, drafts included, as sets by section; items are equal if their lines are, ids
included; ``None`` is an item, and what stands on a header's own line is lost. New items have the
ids that they really got.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Self

from rlvr_world.language.judge import BadAnswer, Judge, Reason, Rule
from rlvr_world.web.answer import HEADERS, NOTHING, read_changes
from rlvr_world.web.changes import Changes, Content, content
from rlvr_world.web.page import WebTransition
from rlvr_world.web.tree import Element, line_text


class WebJudgement(NamedTuple):
    """What a rule says of an answer.

    Args:
        reason: ``right``, or why not.
        precision: Share of the answer's items that are right, in [0, 1].
        recall: Share of the true items that the answer has, in [0, 1].
    """

    reason: Reason
    precision: float = 0.0
    recall: float = 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, in [0, 1]."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    @classmethod
    def of_counts(cls, matched: int, predicted: int, true: int) -> Self:
        """The judgement of an answer with so many items; nothing where nothing is true is right."""
        if not predicted and not true:
            return cls("right", 1.0, 1.0)
        reason: Reason = "right" if matched == predicted == true else "wrong state"
        return cls(reason, matched / predicted if predicted else 0.0, matched / true if true else 0)


class Truth(NamedTuple):
    """The true items as the strict rule compares them."""

    new: Counter[Content]
    deleted: dict[str, Content]
    updated: dict[str, Content]

    @classmethod
    def of(cls, changes: Changes) -> Self:
        return cls(
            Counter(map(content, changes.new)),
            {item.id: content(item) for item in changes.deleted},
            {item.id: content(item) for item in changes.updated},
        )

    def matched(self, answer: Changes) -> int:
        """The number of items that the answer has right."""
        new = Counter(map(content, _once(answer.new)))
        deleted = (
            item.id in self.deleted and (not item.role or content(item) == self.deleted[item.id])
            for item in _once(answer.deleted)
        )
        updated = (content(item) == self.updated.get(item.id) for item in _once(answer.updated))
        return (new & self.new).total() + sum(deleted) + sum(updated)


def _once(items: Iterable[Element]) -> Iterator[Element]:
    """The items but those whose id came before."""
    ids: set[str] = set()
    for item in items:
        if item.id not in ids:
            ids.add(item.id)
            yield item


def strict_judgement(text: str, transition: WebTransition) -> WebJudgement:
    """Judge the answer in a text by the strict rule."""
    try:
        answer = read_changes(text)
    except BadAnswer as error:
        return WebJudgement(error.reason)
    changes = transition.changes
    truth = transition.once(Truth, lambda: Truth.of(changes))
    return WebJudgement.of_counts(truth.matched(answer), answer.total, changes.total)


def upstream_judgement(text: str, transition: WebTransition) -> WebJudgement:
    """Judge a text by the original's rule."""
    found = _sections(text.split("\n"))
    if not any(found):
        return WebJudgement("no answer")
    true = transition.once("upstream", lambda: [_lines(items) for items in transition.changes])
    matched = sum(len(lines & own) for lines, own in zip(found, true, strict=True))
    return WebJudgement.of_counts(matched, sum(map(len, found)), sum(map(len, true)))


def _lines(items: Iterable[Element]) -> set[str]:
    return {line_text(item).strip() for item in items} or {NOTHING}


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


RULES: dict[Rule, Callable[[str, WebTransition], WebJudgement]] = {
    "strict": strict_judgement,
    "upstream": upstream_judgement,
}


class WebJudge(Judge[WebJudgement]):
    """Judges answers about what changes on web pages. Arguments: see ``Judge``."""

    def prepare(self, transition: WebTransition) -> None:
        _ = transition.changes

    def judgement(self, text: str, transition: WebTransition) -> WebJudgement:
        return RULES[self.rule](text, transition)

    def unread(self, reason: Reason) -> WebJudgement:
        return WebJudgement(reason)
