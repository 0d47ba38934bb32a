"""A headless Chromium that reaches the allowed origins and nothing else."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from rlvr_world.extras import require

PORTS = {"http": 80, "https": 443}
BLANK = "about:blank"

NAMES = (
    "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome",
    "google-chrome-stable",
)  # fmt: skip
"""Programs to look for, the lightest first: the headless shell takes 30 % less of a core."""

ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-pings",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-print-preview",
    "--deny-permission-prompts",
    # Chromium reads the first of these two, its headless shell the second.
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--js-flags=--max-old-space-size=512",
)

NOWHERE = "http://127.0.0.1:1"
"""A proxy that does not exist: what has to go through it goes nowhere."""

START_SECONDS, STOP_SECONDS = 60, 10


class BrowserLost(RuntimeError):
    """The browser or its page died or did not answer in time; a reset starts a new one."""


def find_chromium(path: str | None = None) -> str:
    """The program, from a path or from PATH.

    Raises:
        FileNotFoundError: There is none.
    """
    if path is not None:
        if not (Path(path).is_file() and os.access(path, os.X_OK)):
            raise FileNotFoundError(f"chromium {path} is not a program that can be run")
        return path
    for program in filter(None, map(shutil.which, NAMES)):
        return program
    raise FileNotFoundError(
        "Chromium was not found on PATH: install it (Debian: apt install chromium), or name the "
        "program with the option chromium"
    )


def import_playwright() -> Any:
    """Playwright's module with the asynchronous classes.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    return require("playwright.async_api", "web", "a browser")


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


@dataclass
class Chromium:
    """A browser that runs.

    Its pages are kept in twice: all traffic that is not to an allowed host and port goes through a
    proxy that does not exist, and only hosts of the origins have an address. It downloads nothing,
    asks for no permission and keeps its profile only as long as it runs. Its own sandbox is on
    unless the user is root, for whom Chromium has none.

    Args:
        driver: Playwright, which is started.
        browser: Its browser.
        process: The id of the browser's process.
    """

    driver: Any
    browser: Any
    process: int

    @classmethod
    async def start(cls, program: str, origins: Sequence[str]) -> Self:
        """Start a browser.

        Args:
            program: The path of Chromium.
            origins: The origins that pages may reach.

        Raises:
            BrowserLost: It does not start.
        """
        playwright = import_playwright()
        driver = await playwright.async_playwright().start()
        hosts = {host_of(origin) for origin in origins}
        rules = ", ".join(["MAP * ~NOTFOUND", *(f"EXCLUDE {host}" for host in sorted(hosts))])
        try:
            browser = await driver.chromium.launch(
                executable_path=program,
                headless=True,
                chromium_sandbox=os.geteuid() != 0,
                args=[*ARGUMENTS, f"--host-resolver-rules={rules}"],
                ignore_default_args=["--disable-popup-blocking"],
                proxy={"server": NOWHERE, "bypass": ",".join(["<-loopback>", *origins])},
                timeout=START_SECONDS * 1000,
            )
            session = await browser.new_browser_cdp_session()
            infos = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
            await session.detach()
        except playwright.Error as error:
            await driver.stop()
            reason = str(error).strip().splitlines()[0]
            raise BrowserLost(f"{program} does not start: {reason}") from error
        process = next(info["id"] for info in infos if info["type"] == "browser")
        return cls(driver, browser, int(process))

    @property
    def version(self) -> str:
        return self.browser.version

    async def stop(self) -> None:
        """Close the browser, or kill it if it does not answer."""
        try:
            await asyncio.wait_for(self.browser.close(), STOP_SECONDS)
        except (TimeoutError, import_playwright().Error):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process, signal.SIGKILL)
        with contextlib.suppress(TimeoutError, import_playwright().Error):
            await asyncio.wait_for(self.driver.stop(), STOP_SECONDS)
