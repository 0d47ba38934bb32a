"""Sites whose pages are the files of a folder, served on loopback."""

import functools
import sys
from abc import abstractmethod
from collections.abc import Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from rlvr_world.web.browser.session import Session
from rlvr_world.web.sites.site import Site, text_of


class FolderServer:
    """Serves a folder on a free port of 127.0.0.1 from a thread; browsers may keep the files.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        handler = functools.partial(_Handler, directory=str(folder))
        self.server = _Server(("127.0.0.1", 0), handler)
        self.thread = Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class _Server(ThreadingHTTPServer):
    """Does not mind pages that leave while they load."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report what went wrong, unless the browser closed its connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(SimpleHTTPRequestHandler):
    """Answers quietly and keeps connections open."""

    protocol_version = "HTTP/1.1"
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
    }

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "max-age=86400")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class FolderSite(Site):
    """A folder's pages; each names a task and has no traces to leave."""

    viewport = (500, 400)
    remembers = False
    quiet = 0.025
    limit = 0.6

    def __init__(self) -> None:
        self.server: FolderServer | None = None

    @property
    @abstractmethod
    def folder(self) -> Path:
        """The folder."""

    def start(self) -> None:
        if self.server is None:
            self.server = FolderServer(self.folder)
            self.origins = (self.server.origin,)

    def close(self) -> None:
        if self.server is not None:
            self.server.close()
            self.server = None

    async def opened(self, session: Session, path: str, script: str, seed: int | str) -> str:
        """Open a page, call a JavaScript function with the seed, and return its objective."""
        page = session.tab.page
        await page.goto(f"{self.origins[0]}/{path}.html")
        return text_of(await page.evaluate(script, seed))


class OwnPages(FolderSite):
    """Small pages of our own, from which the recording that comes with the package is made.

    Forms, lists, tabs, dialogs, a cart: one page a task, in ``pages``. A page's script defines
    ``begin(seed)``, which draws the page and returns the objective. There are no rewards.
    """

    name = "pages"
    alias = "http://pages"
    folder = Path(__file__).with_name("pages")
    held_out_tasks = ("order", "party", "settings")

    @property
    def tasks(self) -> Sequence[str]:
        return sorted(path.stem for path in self.folder.glob("*.html"))

    async def begin(self, session: Session, task: str, seed: int) -> str:
        return await self.opened(session, task, "seed => begin(seed)", seed)
