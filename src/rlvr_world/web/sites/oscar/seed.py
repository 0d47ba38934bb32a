"""Fills a folder with a shop: ``python -m rlvr_world.web.sites.oscar.seed FOLDER COUNT SEED``."""

import os
import sys
from datetime import timedelta
from decimal import Decimal
from typing import Any

from rlvr_world.web.sites.oscar import goods


def seed(folder: str, count: int, number: int) -> None:
    """Make the database of a shop.

    Args:
        folder: An empty folder.
        count: How many products there are.
        number: Which ones.
    """
    start_django(folder)
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)
    _fill_catalogue(goods.products(count, number))
    _hire_staff()


def start_django(folder: str) -> None:
    """Set Django up for the shop in a folder."""
    os.environ["RLVR_WORLD_SHOP"] = folder
    os.environ["DJANGO_SETTINGS_MODULE"] = "rlvr_world.web.sites.oscar.settings"
    import django

    django.setup()


def _fill_catalogue(products: list[goods.Product]) -> None:
    from oscar.apps.catalogue.categories import create_from_breadcrumbs
    from oscar.core.loading import get_model

    def create(app: str, model: str, **fields: Any) -> Any:
        return get_model(app, model).objects.create(**fields)

    kind = create("catalogue", "ProductClass", name="Goods", track_stock=True)
    partner = create("partner", "Partner", name="Warehouse")
    create(
        "address", "Country", iso_3166_1_a2="US", iso_3166_1_a3="USA", name="United States",
        printable_name="United States", is_shipping_country=True,
    )  # fmt: skip
    names = sorted({product.category for product in products})
    categories = {name: create_from_breadcrumbs(name) for name in names}
    for number, product in enumerate(products):
        item = create(
            "catalogue", "Product", title=product.title, upc=f"U{number:04d}",
            product_class=kind, description=product.remark,
        )  # fmt: skip
        create("catalogue", "ProductCategory", product=item, category=categories[product.category])
        create(
            "partner", "StockRecord", product=item, partner=partner, partner_sku=f"W{number:04d}",
            price=Decimal(product.cents) / 100, num_in_stock=product.stock, price_currency="USD",
        )  # fmt: skip


def _hire_staff() -> None:
    """One who may use the dashboard, with a session that is logged in."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sessions.models import Session
    from django.utils import timezone

    user = User.objects.create_superuser(goods.NAME, goods.EMAIL, goods.PASSWORD)
    entries = {
        SESSION_KEY: str(user.pk),
        BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
        HASH_SESSION_KEY: user.get_session_auth_hash(),
    }
    Session.objects.create(
        session_key=goods.SESSION,
        session_data=SessionStore().encode(entries),
        expire_date=timezone.now() + timedelta(days=3650),
    )


if __name__ == "__main__":
    seed(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
