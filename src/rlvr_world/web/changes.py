"""What an action changes on a page: elements before and after, matched into items.

An item is an element without its depth and place. Elements that are the same for both pages (id and
role) are matched first, then those that look the same, in the page's order, and the rest by the
assignment that costs least. So ids may change where the page is drawn anew, without any item.
"""

from collections import defaultdict, deque
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from rlvr_world.web.tree import Element, bare

NAME_COST, PROPERTIES_COST, PLACE_COST = 0.6, 0.3, 0.1
MOST = 0.5
"""Elements whose match costs this or more, of 1 at most, are not the same element."""

Content = tuple[str, str, tuple[tuple[str, str], ...]]
Pair = tuple[int, int]


class Changes(NamedTuple):
    """The items of an action.

    Args:
        new: Elements that only the page afterwards has, in its order.
        deleted: Elements that only the page before has, in its order.
        updated: Elements of both pages in the order before, with the id that they have before and
            the name and properties that they have afterwards.
    """

    new: tuple[Element, ...] = ()
    deleted: tuple[Element, ...] = ()
    updated: tuple[Element, ...] = ()

    @property
    def total(self) -> int:
        """The number of items."""
        return sum(map(len, self))


def content(element: Element) -> Content:
    """What an element shows: role, name and properties, whose order and quotes do not count."""
    properties = sorted((key, bare(value)) for key, value in element.properties)
    return element.role, element.name, tuple(properties)


def extract(before: Sequence[Element], after: Sequence[Element]) -> Changes:
    """The changes that lead from one page to another; ids are unique within a page."""
    pairs = match(before, after)
    kept, known = dict(pairs), {new for _, new in pairs}
    return Changes(
        new=tuple(element for j, element in enumerate(after) if j not in known),
        deleted=tuple(element for i, element in enumerate(before) if i not in kept),
        updated=tuple(
            after[j]._replace(id=before[i].id)
            for i, j in sorted(pairs)
            if content(before[i]) != content(after[j])
        ),
    )


def apply(before: Sequence[Element], changes: Changes) -> list[Element]:
    """The page that changes lead to; new elements come last, items of unknown ids do nothing."""
    deleted = {item.id for item in changes.deleted}
    updated = {item.id: item for item in changes.updated}
    kept = [old for old in before if old.id not in deleted]
    return [
        *(updated[old.id]._replace(depth=old.depth) if old.id in updated else old for old in kept),
        *changes.new,
    ]


def match(before: Sequence[Element], after: Sequence[Element]) -> list[Pair]:
    """The indices of elements before and after that are the same one; they share their role."""
    left, right = list(range(len(before))), list(range(len(after)))
    pairs: list[Pair] = []
    for same in (_identity, content):
        found = _in_order({i: same(before[i]) for i in left}, {j: same(after[j]) for j in right})
        pairs += found
        left = sorted(set(left) - {i for i, _ in found})
        right = sorted(set(right) - {j for _, j in found})
    for role in dict.fromkeys(before[i].role for i in left):
        rows = [i for i in left if before[i].role == role]
        columns = [j for j in right if after[j].role == role]
        if columns:
            cost = _looks([before[i] for i in rows], [after[j] for j in columns])
            places = np.array(rows)[:, None] / len(before) - np.array(columns) / len(after)
            cost = np.minimum(cost + PLACE_COST * np.abs(places), MOST)
            chosen = zip(*linear_sum_assignment(cost), strict=True)
            pairs += [(rows[i], columns[j]) for i, j in chosen if cost[i, j] < MOST]
    return pairs


def _identity(element: Element) -> Hashable:
    return element.id, element.role


def _in_order(left: Mapping[int, Hashable], right: Mapping[int, Hashable]) -> list[Pair]:
    """Pairs of indices with equal keys: the first with the first, the second with the second."""
    waiting: dict[Hashable, deque[int]] = defaultdict(deque)
    for j, key in right.items():
        waiting[key].append(j)
    return [(i, waiting[key].popleft()) for i, key in left.items() if waiting[key]]


def _looks(left: Sequence[Element], right: Sequence[Element]) -> NDArray[np.float32]:
    """What it costs to take elements for one another by name and properties, [L, R]."""
    names = [[_words(element.name) for element in side] for side in (left, right)]
    properties = [[set(element.properties) for element in side] for side in (left, right)]
    return NAME_COST * _distances(*names) + PROPERTIES_COST * _distances(*properties)


def _words(name: str) -> set[Hashable]:
    """The words of a name and the name as a whole, so that only equal names have distance 0."""
    return {*name.split(), (name,)}


def _distances(left: Sequence[set[Any]], right: Sequence[set[Any]]) -> NDArray[np.float32]:
    """The Jaccard distances between sets, [L, R], in [0, 1]; 0 between empty ones."""
    column = {member: n for n, member in enumerate(set().union(*left, *right))}
    rows = np.zeros((len(left) + len(right), len(column)), np.float32)
    for row, members in zip(rows, [*left, *right], strict=True):
        row[[column[member] for member in members]] = 1
    shared = rows[: len(left)] @ rows[len(left) :].T
    sizes = rows.sum(1)
    union = sizes[: len(left), None] + sizes[len(left) :] - shared
    return np.where(union > 0, 1 - shared / np.maximum(union, 1), 0).astype(np.float32)
