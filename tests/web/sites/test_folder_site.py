"""A folder on loopback: its files, and what is said when a page leaves or something breaks."""

import socket
import urllib.request

import pytest

from rlvr_world.web.sites.folder_site import FolderServer


@pytest.fixture
def server(tmp_path):
    (tmp_path / "page.html").write_text("<p>hello</p>")
    server = FolderServer(tmp_path)
    yield server
    server.close()


def test_files_may_be_kept(server):
    with urllib.request.urlopen(f"{server.origin}/page.html") as answer:
        assert answer.read() == b"<p>hello</p>"
        assert answer.headers["Cache-Control"] == "max-age=86400"
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("error", "is_said"), [(BrokenPipeError, False), (ConnectionResetError, False), (OSError, True)]
)
def test_only_errors_of_ours_are_said(server, error, is_said, capsys):
    with socket.socket() as request:
        try:
            raise error("in a request")
        except error:
            server.server.handle_error(request, ("127.0.0.1", 1))
    assert ("in a request" in capsys.readouterr().err) == is_said
