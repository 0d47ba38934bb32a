"""Where a browser may go: origins, such as ``http://127.0.0.1:8000``."""

from collections.abc import Collection
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}
BLANK = "about:blank"


def origin_of(url: str) -> str:
    """The origin ``scheme://host:port`` of an address of the web, with its port; else empty.

    A name or a password in front of the host makes it no address of the web.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        return ""
    if parts.scheme not in PORTS or not parts.hostname or "@" in parts.netloc or "\\" in url:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def is_allowed(url: str, origins: Collection[str]) -> bool:
    """Whether an address belongs to one of the origins, which ``origin_of`` made."""
    return origin_of(url) in origins


def host_of(origin: str) -> str:
    """The ``host`` of an origin, without its port."""
    return origin.split("://", 1)[1].rsplit(":", 1)[0]
