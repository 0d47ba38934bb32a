"""Tasks in the shop, with a check in its database or in the address whether they are done."""

import random
import re
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from rlvr_world.web.sites.oscar import goods

HOLD_OUT = 5
"""Every fifth product and category is on a held-out page."""

_LINE = "FROM basket_line l JOIN catalogue_product p ON p.id = l.product_id WHERE p.title = :title"
_STOCK = (
    "FROM partner_stockrecord s JOIN catalogue_product p ON p.id = s.product_id "
    "WHERE p.title = :title"
)


class ShopTask(NamedTuple):
    """A kind of task.

    Args:
        objective: What to do; ``{title}`` and the like stand for what is drawn.
        start: The path of the page to start at.
        query: A query that finds a row once it is done, with the same things as parameters.
        path: A pattern that the path of the page matches once it is done; instead of a query.
    """

    objective: str
    start: str = "/"
    query: str = ""
    path: str = ""

    @property
    def is_staff(self) -> bool:
        """Whether it is done by who keeps the shop."""
        return self.start.startswith("/dashboard")


TASKS = {
    "find-product": ShopTask('Open the page of "{title}".', path="/catalogue/[^/]+_{product}/"),
    "find-category": ShopTask(
        'Show what there is in "{category}".', path="/catalogue/category/.+_{category_id}/"
    ),
    "buy": ShopTask('Put "{title}" into the cart.', query=f"SELECT 1 {_LINE}"),
    "buy-several": ShopTask(
        'Put "{title}" into the cart and set its quantity to "{number}".',
        query=f"SELECT 1 {_LINE} AND l.quantity = :number",
    ),
    "log-in": ShopTask(
        f'Log in with the email "{goods.EMAIL}" and the password "{goods.PASSWORD}".',
        query="SELECT 1 FROM auth_user WHERE last_login IS NOT NULL",
    ),
    "register": ShopTask(
        'Register with the email "{email}" and the password "{word}", to be typed twice.',
        query="SELECT 1 FROM auth_user WHERE email = :email",
    ),
    "change-price": ShopTask(
        'Set the price of "{title}" to "{price}".',
        start="/dashboard/catalogue/",
        query=f"SELECT 1 {_STOCK} AND abs(s.price - :price) < 0.001",
    ),
    "change-stock": ShopTask(
        'Set the number in stock of "{title}" to "{number}".',
        start="/dashboard/catalogue/",
        query=f"SELECT 1 {_STOCK} AND s.num_in_stock = :number",
    ),
    "rename-product": ShopTask(
        'Find the product "{title}" and change its title to "{new_title}".',
        start="/dashboard/catalogue/",
        query="SELECT 1 FROM catalogue_product WHERE title = :new_title",
    ),
    "new-range": ShopTask(
        'Make a new range named "{new_title}".',
        start="/dashboard/ranges/",
        query="SELECT 1 FROM offer_range WHERE name = :new_title",
    ),
}


def draw(database: Path, seed: int) -> dict[str, Any]:
    """What a task is about: a product, a category, a number, a price and words."""
    rng = random.Random(seed)
    rows = "SELECT id, title FROM catalogue_product ORDER BY id"
    groups = "SELECT id, name FROM catalogue_category WHERE depth = 2 ORDER BY id"
    product, title = rng.choice(_ask(database, rows))
    category_id, category = rng.choice(_ask(database, groups))
    return {
        "product": product,
        "title": title,
        "category_id": category_id,
        "category": category,
        "number": rng.randint(2, 9),
        "price": f"{rng.randint(100, 9999) / 100:.2f}",
        "new_title": f"{title} {rng.randint(2, 99)}",
        "email": f"visitor{rng.randint(100, 999)}@shop.example",
        "word": f"quiet-river-{rng.randint(100, 999)}",
    }


def is_done(task: ShopTask, about: Mapping[str, Any], database: Path, url: str) -> bool:
    """Whether a task is done."""
    if task.query:
        return bool(_ask(database, task.query, about))
    return re.fullmatch(task.path.format(**about), urlsplit(url).path) is not None


def is_held_out(url: str) -> bool:
    """Whether an address is that of a held-out product or category, of the dashboard's too."""
    path = urlsplit(url).path
    number = re.fullmatch(
        r"/catalogue/(?:.*)_(\d+)/.*|/dashboard/catalogue/products/(\d+)/.*", path
    )
    return number is not None and int(number[1] or number[2]) % HOLD_OUT == 0


def _ask(database: Path, query: str, about: Mapping[str, Any] | None = None) -> list[Any]:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)
    try:
        return connection.execute(query, dict(about or {})).fetchall()
    finally:
        connection.close()
