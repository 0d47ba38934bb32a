"""The shop's pages list, find and sort what the database holds."""

import json
import os
import subprocess
import sys

import pytest

from rlvr_world.web.sites.oscar import goods

pytest.importorskip("oscar", reason="django-oscar is not installed")

PRODUCTS = goods.products(30, 0)
FIRST = min(product.category for product in PRODUCTS).split(" > ")[0]
VISIT = """
import json, re, sys
from rlvr_world.web.sites.oscar.seed import seed
seed(sys.argv[1], 30, 0)
from django.test import Client
client = Client(SERVER_NAME="127.0.0.1")
pages = {}
for address in sys.argv[2:]:
    page = client.get(address, follow=True).content.decode()
    count = re.search(r"<strong>(\\d+)</strong>\\s*result", page)
    titles = re.findall(r'<h3 class="mt-3">\\s*<a href="[^"]*" title="([^"]*)"', page)
    pages[address] = [int(count[1]) if count else 0, titles]
print(json.dumps(pages))
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """How many products each page has found, and the titles that it shows."""
    word = PRODUCTS[0].title.split()[-1]
    addresses = {
        "all": "/catalogue/", "found": f"/search/?q={word}", "none": "/search/?q=unheard-of",
        "sorted": "/catalogue/?sort_by=price-asc", "second": "/catalogue/?page=2",
        "category": f"/catalogue/category/{FIRST.lower()}_1/",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", VISIT, tmp_path_factory.mktemp("shop"), *addresses.values()],
        capture_output=True, text=True, timeout=300, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout)
    return {name: seen[address] for name, address in addresses.items()}


def test_every_product_is_listed_once_over_the_pages(pages):
    assert pages["all"][0] == len(PRODUCTS)
    shown = pages["all"][1] + pages["second"][1]
    assert len(set(shown)) == len(shown) == len(PRODUCTS)


def test_a_word_finds_the_products_that_have_it(pages):
    word = PRODUCTS[0].title.split()[-1].lower()
    having = {p.title for p in PRODUCTS if word in f"{p.title} {p.remark}".lower()}
    assert 0 < len(having) < len(PRODUCTS)
    assert (pages["found"][0], set(pages["found"][1])) == (len(having), having)
    assert pages["none"] == [0, []]


def test_products_are_sorted_by_their_price(pages):
    by_price = sorted(PRODUCTS, key=lambda product: product.cents)
    price = {product.title: product.cents for product in PRODUCTS}
    shown = [price[title] for title in pages["sorted"][1]]
    assert shown == [product.cents for product in by_price[: len(shown)]]
    assert shown


def test_a_category_holds_those_of_the_categories_within(pages):
    within = {p.title for p in PRODUCTS if p.category.startswith(f"{FIRST} > ")}
    assert (pages["category"][0], set(pages["category"][1])) == (len(within), within)
    assert within
