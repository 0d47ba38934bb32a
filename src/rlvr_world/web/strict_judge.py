"""The strict rule for web pages: an answer is right if all of its items are, and none is missing.

Only the last answer in the text counts. New items are compared without their ids, and counted as
often as they occur; the second item of a section with the same id is wrong. Where nothing changes,
saying so is worth 1 and anything else 0; elsewhere, saying that nothing changes is worth 0.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rlvr_world.language.answer import BadAnswer
from rlvr_world.web.answer import read_changes
from rlvr_world.web.changes import Changes, Content, content
from rlvr_world.web.judgement import WebJudgement
from rlvr_world.web.page import WebTransition
from rlvr_world.web.tree import Element


class Truth(NamedTuple):
    """The true items as they are compared."""

    new: Counter[Content]
    deleted: dict[str, Content]
    updated: dict[str, Content]


def strict_judgement(text: str, transition: WebTransition) -> WebJudgement:
    """Judge the answer in a text."""
    try:
        answer = read_changes(text)
    except BadAnswer as error:
        return WebJudgement(error.reason)
    truth = transition.once(Truth, lambda: _truth(transition))
    return WebJudgement.of_counts(_matched(answer, truth), answer.total, transition.changes.total)


def _truth(transition: WebTransition) -> Truth:
    changes = transition.changes
    return Truth(
        Counter(map(content, changes.new)),
        {item.id: content(item) for item in changes.deleted},
        {item.id: content(item) for item in changes.updated},
    )


def _matched(answer: Changes, truth: Truth) -> int:
    """The number of items that the answer has right."""
    new = Counter(map(content, _once(answer.new)))
    deleted = (
        item.id in truth.deleted and (not item.role or content(item) == truth.deleted[item.id])
        for item in _once(answer.deleted)
    )
    updated = (content(item) == truth.updated.get(item.id) for item in _once(answer.updated))
    return (new & truth.new).total() + sum(deleted) + sum(updated)


def _once(items: Iterable[Element]) -> Iterator[Element]:
    """The items but those whose id came before."""
    ids: set[str] = set()
    for item in items:
        if item.id not in ids:
            ids.add(item.id)
            yield item
