"""The search of the shop: the database itself is asked, so that there is no index to keep."""

from collections.abc import Iterable
from functools import reduce
from operator import and_, or_
from typing import Any

from django.db.models import Q
from haystack.backends import BaseEngine, BaseSearchBackend, BaseSearchQuery, SearchNode
from haystack.models import SearchResult
from haystack.utils import get_model_ct_tuple
from oscar.core.loading import get_model

ORDERS = {"price": "stockrecords__price", "title_exact": "title"}
"""The columns of the database behind names of the index that pages sort by."""
BROWSABLE = ("is_public", "structure")
"""Fields that only say what every search here says: that a product can be browsed."""


class DatabaseQuery(BaseSearchQuery):
    """A query as a condition of the database."""

    def build_query(self) -> Q:
        return condition(self.query_filter)


class DatabaseBackend(BaseSearchBackend):
    """Products whose title, description or number holds every word; without facets."""

    def search(
        self,
        query_string: Q,
        sort_by: Iterable[str] = (),
        start_offset: int = 0,
        end_offset: int | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """The products between two offsets that meet a condition, and how many do in all."""
        found = get_model("catalogue", "Product").objects.browsable().filter(query_string)
        keys = (name.removeprefix("-") for name in sort_by)
        signs = ("-" if name.startswith("-") else "" for name in sort_by)
        orders = [sign + ORDERS.get(key, key) for sign, key in zip(signs, keys, strict=True)]
        found = found.order_by(*orders, "-date_created", "pk").distinct()
        page = found[start_offset:end_offset]
        return {"results": [result(product) for product in page], "hits": found.count()}

    def update(self, *_: Any, **__: Any) -> None:
        """Nothing: there is no index."""

    remove = clear = update


class DatabaseEngine(BaseEngine):
    """What the settings name."""

    backend = DatabaseBackend
    query = DatabaseQuery


def condition(node: SearchNode) -> Q:
    """What a tree of a search asks of a product."""
    parts = [
        condition(child) if isinstance(child, SearchNode) else comparison(*child)
        for child in node.children
    ]
    joined = reduce(and_ if node.connector == node.AND else or_, parts, Q())
    return ~joined if node.negated else joined


def comparison(expression: str, value: Any) -> Q:
    """What one comparison asks of a product.

    Raises:
        ValueError: It compares a field by which nothing is searched here.
    """
    field = expression.partition("__")[0]
    if field in BROWSABLE:
        return Q()
    if field == "category":
        return Q(categories__in=value)
    if field != "content":
        raise ValueError(f"the shop is not searched by {field}")
    words = str(value).replace('"', " ").split()
    texts = ("title", "description", "upc")
    return reduce(
        and_,
        (reduce(or_, (Q(**{f"{t}__icontains": word}) for t in texts)) for word in words),
        Q(),
    )


def result(product: Any) -> SearchResult:
    """A product as pages expect what was found."""
    found = SearchResult(*get_model_ct_tuple(product), product.pk, 0)
    found._model, found._object = type(product), product
    return found
