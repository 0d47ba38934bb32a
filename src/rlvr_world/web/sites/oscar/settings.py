"""Django's settings of the shop, and its addresses.

The environment variable ``RLVR_WORLD_SHOP`` holds the folder of its files.
"""

import os
from typing import Any

from django.apps import apps
from django.urls import include, path
from oscar.defaults import *  # noqa: F403

FOLDER = os.environ.get("RLVR_WORLD_SHOP", ".")

SECRET_KEY = "a shop on loopback that holds nothing to protect"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
SITE_ID = 1
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = __name__
STATIC_URL = "/static/"
MEDIA_URL = "/media/"
MEDIA_ROOT = f"{FOLDER}/media"
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
LOGGING_CONFIG = None

OSCAR_SHOP_NAME = "Corner Shop"
OSCAR_DEFAULT_CURRENCY = "USD"
OSCAR_ALLOW_ANON_CHECKOUT = True
OSCAR_INITIAL_ORDER_STATUS = OSCAR_INITIAL_LINE_STATUS = "Pending"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": f"{FOLDER}/shop.sqlite3",
        "ATOMIC_REQUESTS": True,
        "OPTIONS": {
            "timeout": 20,
            "init_command": "PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY",
        },
    }
}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
HAYSTACK_CONNECTIONS = {"default": {"ENGINE": "rlvr_world.web.sites.oscar.search.DatabaseEngine"}}
HAYSTACK_SIGNAL_PROCESSOR = "haystack.signals.BaseSignalProcessor"

_DJANGO = (
    "admin", "auth", "contenttypes", "sessions", "messages", "staticfiles", "sites", "flatpages",
    "humanize",
)  # fmt: skip
_SHOP = {
    "analytics": "Analytics", "checkout": "Checkout", "address": "Address",
    "shipping": "Shipping", "catalogue": "Catalogue", "catalogue.reviews": "CatalogueReviews",
    "communication": "Communication", "partner": "Partner", "basket": "Basket",
    "payment": "Payment", "offer": "Offer", "order": "Order", "customer": "Customer",
    "search": "Search", "voucher": "Voucher", "wishlists": "Wishlists", "dashboard": "Dashboard",
}  # fmt: skip
_DASHBOARD = (
    "reports", "users", "orders", "catalogue", "offers", "partners", "pages", "ranges", "reviews",
    "vouchers", "communications", "shipping",
)  # fmt: skip
INSTALLED_APPS = [
    *(f"django.contrib.{name}" for name in _DJANGO),
    "oscar.config.Shop",
    *(f"oscar.apps.{name}.apps.{kind}Config" for name, kind in _SHOP.items()),
    *(f"oscar.apps.dashboard.{name}.apps.{name.title()}DashboardConfig" for name in _DASHBOARD),
    "widget_tweaks",
    "haystack",
    "treebeard",
    "sorl.thumbnail",
    "django_tables2",
]
MIGRATION_MODULES = dict.fromkeys(
    [name.rpartition(".")[2] for name in (*_DJANGO, *_SHOP, "thumbnail")]
)
"""No history: the tables are made as they are now, which takes a fifth of the time."""

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "oscar.apps.basket.middleware.BasketMiddleware",
]
AUTHENTICATION_BACKENDS = [
    "oscar.apps.customer.auth_backends.EmailBackend",
    "django.contrib.auth.backends.ModelBackend",
]
_CONTEXT = (
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
    "oscar.apps.search.context_processors.search_form",
    "oscar.apps.checkout.context_processors.checkout",
    "oscar.apps.communication.notifications.context_processors.notifications",
    "oscar.core.context_processors.metadata",
)
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": list(_CONTEXT)},
    }
]


def __getattr__(name: str) -> Any:
    """The addresses of the shop, which Django asks for once its apps are loaded."""
    if name != "urlpatterns":
        raise AttributeError(name)
    shop = apps.get_app_config("oscar").urls[0]
    return [path("i18n/", include("django.conf.urls.i18n")), path("", include(shop))]
