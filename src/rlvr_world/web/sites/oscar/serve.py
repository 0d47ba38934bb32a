"""Serves a shop on loopback: ``python -m rlvr_world.web.sites.oscar.serve FOLDER PORT``.

The first line of its output is the port, any free one for PORT 0. It ends when its input ends, so
with its parent.
"""

import sys
import threading
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from rlvr_world.web.sites.oscar.seed import start_django


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_address = True


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def serve(folder: str, port: int) -> None:
    """Serve until the input ends."""
    start_django(folder)
    from django.contrib.staticfiles.handlers import StaticFilesHandler
    from django.core.wsgi import get_wsgi_application

    application = StaticFilesHandler(get_wsgi_application())
    with make_server("127.0.0.1", port, application, _Server, _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        sys.stdout.write(f"{server.server_port}\n")
        sys.stdout.flush()
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
