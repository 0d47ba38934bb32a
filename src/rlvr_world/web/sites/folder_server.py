"""A folder's files on loopback."""

import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any


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
        """The origin of its files."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        """Stop serving."""
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
        """Let browsers keep the files."""
        self.send_header("Cache-Control", "max-age=86400")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
