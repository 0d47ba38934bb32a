"""Pages for browser tests, written by the tests and served on loopback."""

import contextlib
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rlvr_world.web.action import Action
from rlvr_world.web.browser.chromium import NAMES
from rlvr_world.web.browser.environment import WebEnvironment
from rlvr_world.web.sites.site import AnySite


def needs_browser():
    """Skip a module unless there are Playwright and Chromium."""
    pytest.importorskip("playwright", reason="needs Playwright")
    if not any(map(shutil.which, NAMES)):
        pytest.skip("needs Chromium", allow_module_level=True)


class Pages:
    """A server of pages: by path, HTML or (status, headers, body). It notes every request."""

    def __init__(self, **pages):
        self.pages = {f"/{name}": page for name, page in pages.items()}
        self.requests = []
        notes = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                notes.requests.append(self.path)
                page = notes.pages.get(self.path.partition("?")[0], (404, {}, ""))
                status, headers, body = (200, {}, page) if isinstance(page, str) else page
                body = body.encode()
                self.send_response(status)
                for name, value in {"Content-Type": "text/html; charset=utf-8", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.do_GET()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.origin = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def site(self, path="/start", **settings):
        return AnySite(self.origin + path, **settings)


class Visitor:
    """An environment on a site, used by the names of elements."""

    def __init__(self, site, **settings):
        self.environment = WebEnvironment(site, **settings)
        self.page = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.environment.close()

    def reset(self, seed=0):
        self.page = self.environment.reset("visit", seed)
        return self.page

    def element(self, name, role=None):
        """The first element of that name, or else the first whose name holds it."""
        found = [e for e in self.page.elements if name in e.name and role in (None, e.role)]
        return next((e for e in found if e.name == name), found[0])

    def do(self, text):
        """Do an action in which `<name>` stands for the element of that name."""
        before, _, rest = text.partition("<")
        name, _, after = rest.partition(">")
        text = f"{before}[{self.element(name).id}]{after}" if rest else text
        step = self.environment.step(Action.parse(text))
        self.page = step.observation
        return step

    def says(self, name):
        return any(name in e.name for e in self.page.elements)
