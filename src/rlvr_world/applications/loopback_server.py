"""A server of one page: for this machine's own browser, and nobody else."""

import json
import logging
import webbrowser
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Any

from rich.console import Console
from werkzeug import Request, Response
from werkzeug.exceptions import BadRequest, Forbidden, HTTPException, NotFound
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

log = logging.getLogger(__name__)
HOST = "127.0.0.1"
FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
"""All files there are, by path."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
MOST_BYTES = 1 << 16
Calls = Mapping[tuple[str, str], Callable[[dict[str, Any]], Any]]
"""What is done by method and path, of a JSON object; the answer is plain data."""


class LoopbackServer:
    """Serves a page and its calls on loopback, to pages of its own only.

    Names of other hosts are refused, since they may be made to lead here, and so are changes that
    pages of another origin ask for.

    Args:
        folder: Where the page's ``FILES`` are.
        calls: What the page can ask for.
        port: The port; a free one if 0.
    """

    def __init__(self, folder: Path, calls: Calls, port: int = 0) -> None:
        self.folder, self.calls = folder, calls
        self.worker = ThreadPoolExecutor(1)  # a simulator may draw in one thread only
        self.server: BaseWSGIServer = make_server(
            HOST, port, self.application, threaded=True, request_handler=Quiet
        )
        self.thread = Thread(target=self.server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server.server_port}/"

    def start(self) -> None:
        self.thread.start()

    def show(self, what: str, browser: bool) -> None:
        """Serve until Ctrl-C.

        Args:
            what: What the terminal says that the page shows.
            browser: Whether the page is opened in a browser.
        """
        self.start()
        Console().print(f"{self.url} shows {what}; Ctrl-C ends it", soft_wrap=True)
        if browser:
            webbrowser.open(self.url)
        try:
            self.thread.join()
        except KeyboardInterrupt:
            pass
        finally:
            self.close()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        self.worker.shutdown()

    def application(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI application."""
        request = Request(environ)
        request.trusted_hosts = [HOST, "localhost"]
        request.max_content_length = MOST_BYTES
        try:
            response = self.answer(request)
        except HTTPException as error:
            response = refusal(str(error.description), error.code or 500)
        except Exception as error:
            log.exception("%s %s failed", request.method, request.path)
            response = refusal(f"{type(error).__name__}: {error}; the terminal says more", 500)
        response.headers.extend(HEADERS)
        return response(environ, start)

    def answer(self, request: Request) -> Response:
        """The answer to a request, whose host is looked at first."""
        origin = f"http://{request.host}"
        if request.method == "GET" and request.path in FILES:
            name, kind = FILES[request.path]
            return Response((self.folder / name).read_bytes(), content_type=kind)
        call = self.calls.get((request.method, request.path))
        if call is None:
            raise NotFound("there is no such page")
        given: Any = {}
        if request.method == "POST":
            if request.headers.get("Origin", origin) != origin:
                raise Forbidden("pages of other origins may not ask for this")
            if request.mimetype != "application/json":
                raise Forbidden("what is asked must come as application/json")
            try:
                given = request.get_json()
            except RecursionError as error:
                raise BadRequest("what is asked is nested too deeply") from error
        if not isinstance(given, dict):
            raise BadRequest("what is asked must be a JSON object")
        try:
            value = self.worker.submit(call, given).result()
        except ValueError as error:
            raise BadRequest(str(error)) from error
        return Response(json.dumps(value), content_type="application/json")


def refusal(reason: str, code: int) -> Response:
    """Why there is no answer, as the page shows it."""
    return Response(json.dumps({"error": reason}), code, content_type="application/json")


class Quiet(WSGIRequestHandler):
    """Logs errors only, and keeps connections open."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *_: Any) -> None:
        """Say nothing."""

    def log(self, type: str, message: str, *args: Any) -> None:
        log.warning(message, *args)
