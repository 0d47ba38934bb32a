"""What the shop sells and who keeps it; made up, the same for the same seed."""

import random
from typing import NamedTuple

GOODS = {
    "Kitchen > Pots": ("Saucepan", "Stockpot", "Wok", "Casserole"),
    "Kitchen > Knives": ("Bread Knife", "Paring Knife", "Cleaver"),
    "Home > Lamps": ("Desk Lamp", "Floor Lamp", "Lantern"),
    "Home > Rugs": ("Wool Rug", "Doormat", "Bath Mat"),
    "Garden > Tools": ("Spade", "Rake", "Hand Fork", "Watering Can"),
    "Garden > Seeds": ("Tomato Seeds", "Basil Seeds", "Sunflower Seeds"),
    "Office > Paper": ("Notebook", "Sketch Pad", "Envelopes"),
    "Office > Pens": ("Fountain Pen", "Marker Set", "Pencil Box"),
    "Sports > Cycling": ("Bike Bell", "Cycle Pump", "Pannier"),
    "Sports > Camping": ("Tent", "Sleeping Bag", "Camp Stove"),
}
"""By category: the kinds of goods."""

STYLES = ("Amber", "Birch", "Cobalt", "Dune", "Ember", "Fern", "Granite", "Harbour", "Ivory")
REMARKS = (
    "Made to last for years.", "A favourite of our customers.", "Comes with a spare part.",
    "Light enough to carry along.", "Wipe clean with a damp cloth.", "Packed without plastic.",
)  # fmt: skip

NAME, EMAIL, PASSWORD = "keeper", "keeper@shop.example", "open-sesame-42"
"""Who may use the dashboard; the shop is on loopback and holds nothing to protect."""

SESSION = "keeperloggedinforrecording000000"
"""The key of a session in which the keeper is logged in; the value of the cookie ``sessionid``."""


class Product(NamedTuple):
    """A product; ``cents`` is its price, ``stock`` the number in stock."""

    title: str
    category: str
    remark: str
    cents: int
    stock: int


def products(count: int, seed: int) -> list[Product]:
    """Products with titles that differ.

    Args:
        count: How many; each combination of a kind and a style is one.
        seed: Which, with what prices and stocks.
    """
    rng = random.Random(f"goods {seed}")
    kinds = [
        (f"{style} {kind}", category)
        for category in GOODS
        for kind in GOODS[category]
        for style in STYLES
    ]
    chosen = rng.sample(kinds, count)
    return [
        Product(*kind, rng.choice(REMARKS), rng.randrange(199, 19999, 50), rng.randrange(1, 60))
        for kind in chosen
    ]
