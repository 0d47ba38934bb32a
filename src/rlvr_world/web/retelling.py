"""Steps on pages with other words and ids, so that a model must read them, not know them."""

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from rlvr_world.web.action import Action
from rlvr_world.web.page import WebTransition
from rlvr_world.web.tree import Element, line_text, tree_text

WORD = re.compile(r"[^\W\d_]{3,}")

MOST, LEAST_PAGES = 0.25, 4
"""A word is of the content if it stands on at most a quarter of a task's pages, of which there must
be a few; what stands on more, such as ``Submit``, is of the task."""

SPARE_IDS = 12
"""How many more ids there are to choose from than elements."""


def retold(
    step: WebTransition, rng: random.Random, words: Sequence[str], renumber: bool
) -> WebTransition:
    """The step with other words if there are any to choose from, and with other ids if asked."""
    if words:
        step = reworded(step, words, rng)
    return renumbered(step, rng) if renumber else step


def content_words(transitions: Iterable[WebTransition]) -> tuple[str, ...]:
    """The words that differ from page to page of every task, in order.

    Pages of a task are told apart by their objectives; tasks with less than four do not count.
    """
    pages: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for step in transitions:
        found = [*texts(step.elements), step.objective]
        pages[step.task][step.objective].update(WORD.findall("\n".join(found)))
    shares: dict[str, float] = {}
    for by_objective in pages.values():
        if len(by_objective) < LEAST_PAGES:
            continue
        for word in set().union(*by_objective.values()):
            share = sum(word in words for words in by_objective.values()) / len(by_objective)
            shares[word] = max(share, shares.get(word, 0.0))
    return tuple(sorted(word for word, share in shares.items() if share <= MOST))


def texts(elements: Iterable[Element]) -> list[str]:
    """The names and values of elements."""
    return [text for e in elements for text in (e.name, *(value for _, value in e.properties))]


def reworded(step: WebTransition, words: Sequence[str], rng: random.Random) -> WebTransition:
    """The same step with each content word replaced by another, the same one wherever it stands.

    Args:
        step: The step.
        words: All content words, in order.
        rng: Where the choice comes from.
    """
    known, spoken = set(words), texts((*step.elements, *step.next_elements))
    own = known.intersection(WORD.findall("\n".join([*spoken, step.objective])))
    other = dict(zip(sorted(own), rng.sample(words, len(own)), strict=True))

    def say(text: str) -> str:
        return WORD.sub(lambda match: other.get(match[0], match[0]), text)

    def tell(element: Element) -> Element:
        values = tuple((key, say(value)) for key, value in element.properties)
        return element._replace(name=say(element.name), properties=values)

    def act(action: Action) -> Action:
        text = say(action.text) if action.kind == "type" else action.text
        return replace(action, text=text, target=say(action.target))

    return replace(_rewritten(step, tell, act), objective=say(step.objective))


def renumbered(step: WebTransition, rng: random.Random) -> WebTransition:
    """The same step with other ids, small numbers that rise from element to element as before.

    Ids that are not all numbers stay.
    """
    items = (item for section in step.changes for item in section)
    ids = {element.id for element in (*step.elements, *step.next_elements, *items)}
    if not all(name.isdecimal() for name in ids):
        return step
    chosen = sorted(rng.sample(range(1, len(ids) + SPARE_IDS + 1), len(ids)))
    other = dict(zip(sorted(ids, key=int), map(str, chosen), strict=True))

    def tell(element: Element) -> Element:
        return element._replace(id=other[element.id])

    def act(action: Action) -> Action:
        return replace(action, element=other.get(action.element, action.element))

    return _rewritten(step, tell, act)


def _rewritten(
    step: WebTransition, tell: Callable[[Element], Element], act: Callable[[Action], Action]
) -> WebTransition:
    told = {name: map(tell, items) for name, items in step.changes._asdict().items()}
    truth = {name: list(map(line_text, items)) for name, items in told.items()}
    return replace(
        step,
        truth=truth if step.truth else {},
        previous_action=_rewritten_action(step.previous_action, act),
        action=_rewritten_action(step.action, act),
        tree=tree_text(map(tell, step.elements)),
        next_tree=tree_text(map(tell, step.next_elements)),
    )


def _rewritten_action(text: str, act: Callable[[Action], Action]) -> str:
    """The text of an action with what it says replaced; a text that is no action stays."""
    try:
        return str(act(Action.parse(text)))
    except ValueError:
        return text
