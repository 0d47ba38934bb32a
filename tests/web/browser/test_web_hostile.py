"""Pages that try to get out, to write, to hang or to flood."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest
from web_pages import Pages, Visitor, needs_browser

from rlvr_world.web.browser import tab as tabs
from rlvr_world.web.browser.chromium import NAMES, BrowserLost, find_chromium
from rlvr_world.web.browser.environment import WebEnvironment

needs_browser()

QUIET = "<p>still here</p><button>stay</button>"


@pytest.fixture
def outside():
    """A server that no page may reach."""
    with Pages(secret="secret", script="document.title = 'secret'") as pages:
        yield pages


def udp_port():
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.bind(("127.0.0.1", 0))
    found.setblocking(False)
    return found


REACH = """<title>Hostile</title><p>still here</p>
<link rel="dns-prefetch" href="{out}"><link rel="preconnect" href="{out}">
<link rel="prefetch" href="{out}/secret"><link rel="stylesheet" href="{out}/secret">
<script src="{out}/script"></script><img src="{out}/secret"><iframe src="{out}/secret"></iframe>
<iframe src="file:///etc/passwd"></iframe><object data="{out}/secret"></object>
<iframe name="there" src="/inner"></iframe>
<script>
const out = '{out}', go = f => {{ try {{ f() }} catch (e) {{}} }};
go(() => fetch(out + '/secret', {{ mode: 'no-cors' }}).catch(() => 0));
go(() => fetch('file:///etc/passwd').then(r => r.text()).then(t => document.title = t,
  () => 0));
go(() => navigator.sendBeacon(out + '/secret', 'x'));
go(() => {{ const r = new XMLHttpRequest(); r.open('GET', out + '/secret'); r.send() }});
go(() => new WebSocket(out.replace('http', 'ws') + '/secret'));
go(() => new EventSource(out + '/secret'));
go(() => new Worker(URL.createObjectURL(new Blob(["importScripts('" + out + "/script')"]))));
go(() => navigator.serviceWorker.register('/inner'));
go(() => {{
  const peer = new RTCPeerConnection({{ iceServers: [{{ urls: 'stun:127.0.0.1:{udp}' }}] }});
  peer.createDataChannel('x');
  peer.createOffer().then(o => peer.setLocalDescription(o));
}});
go(() => window.open(out + '/secret'));
</script>
<a href="{out}/secret">leave</a> <a href="{out}/secret" target="_blank">leave in a window</a>
<a href="/away">be sent away</a> <a href="file:///etc/passwd">read a file</a>
<a href="{blank}" target="_blank">open a window</a>
<form action="{out}/secret" method="post"><button>send a form</button></form>
<button onclick="for (let i = 0; i < 20; i++) window.open('{out}/secret?' + i)">open many</button>
<button onclick="location = 'file:///etc/passwd'">go to a file</button>
<button onclick="location = 'data:text/html,gone'">go to data</button>
<button onclick="location = 'chrome://version'">go to chrome</button>
<button onclick="top.location.replace('{out}/secret')">replace</button>
"""


def one_page_is_left(visitor, seconds=10):
    """Whether windows that a page opened are closed, which takes a moment on a busy machine."""
    session, end = visitor.environment.session, time.monotonic() + seconds
    while len(session.context.pages) > 1 and time.monotonic() < end:
        visitor.environment.runner.run(asyncio.sleep(0.05))
    return len(session.context.pages) == 1


@pytest.mark.parametrize("program", [found for name in NAMES if (found := shutil.which(name))])
def test_no_way_out(outside, program):
    listener = udp_port()
    udp = listener.getsockname()[1]
    page = REACH.format(out=outside.origin, udp=udp, blank="/inner")
    away = (302, {"Location": outside.origin + "/secret"}, "")
    with (
        Pages(start=page, inner=QUIET, away=away) as pages,
        Visitor(pages.site(), chromium=program) as visitor,
    ):
        visitor.reset()
        for name in (
            "leave", "leave in a window", "be sent away", "read a file", "open a window",
            "send a form", "open many", "go to a file", "go to data", "go to chrome", "replace",
        ):  # fmt: skip
            link = next(e for e in visitor.page.elements if e.name == name)
            visitor.do(f"click [{link.id}]")
            assert visitor.page.url == f"{pages.origin}/start", name
            assert visitor.says("still here"), name
            assert not visitor.says("root:"), name
            assert one_page_is_left(visitor), name
        assert visitor.environment.session.popups >= 1
    assert outside.requests == []
    with pytest.raises(BlockingIOError):
        listener.recvfrom(100)
    listener.close()


def test_sent_away_at_once(outside):
    meta = f'<meta http-equiv="refresh" content="0; url={outside.origin}/secret">' + QUIET
    with Pages(start=meta) as pages, Visitor(pages.site()) as visitor:
        visitor.reset()
        assert visitor.page.url == f"{pages.origin}/start"
        assert visitor.says("still here")
    assert outside.requests == []


def test_no_files_are_written(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DOWNLOAD_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    headers = {"Content-Disposition": "attachment; filename=evil.sh"}
    start = """<p>still here</p><a href="/file" download="evil.sh">fetch</a>
        <a href="data:text/plain,evil" download="evil.sh">make</a>
        <button onclick="for (let i = 0; i < 5; i++) location = '/file?' + i">many</button>
        <button onclick="window.showSaveFilePicker && showSaveFilePicker()">save</button>"""
    with (
        Pages(start=start, file=(200, headers, "evil")) as pages,
        Visitor(pages.site()) as visitor,
    ):
        visitor.reset()
        for name in ("fetch", "make", "many", "save"):
            visitor.do(f"click <{name}>")
            assert visitor.says("still here")
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name]
    assert not list(Path(find_chromium()).parent.glob("evil*"))


def test_dialogs_do_not_stop_anything():
    start = """<p>still here</p>
        <script>alert(1); confirm(2); prompt(3);
        onbeforeunload = e => { e.preventDefault(); return 'stay' };
        let n = 0;
        const t = setInterval(() => { alert(n); if (++n == 20) clearInterval(t) }, 1)</script>
        <button onclick="alert('a'); document.title = confirm('b') + '/' + prompt('c')">ask</button>
        <button onclick="print()">print</button><a href="/inner">on</a>"""
    with Pages(start=start, inner=QUIET) as pages, Visitor(patient(pages)) as visitor:
        visitor.reset()
        visitor.do("click <ask>")
        assert visitor.page.elements[0].name == "false/null"
        visitor.do("click <print>")
        visitor.do("click <on>")
        assert visitor.says("stay")
        visitor.reset()


def patient(pages):
    site = pages.site()
    site.limit = 10
    return site


async def dismiss_late(dialog):
    await asyncio.sleep(0.1)
    await dialog.dismiss()


def test_a_page_is_read_when_its_dialogs_are_over():
    start = """<button onclick="ask(9)">ask</button><script>
        function ask(n) { alert(n); n ? setTimeout(ask, 20, n - 1) : document.title = 'over' }
        </script>"""
    with Pages(start=start) as pages, Visitor(patient(pages)) as visitor:
        visitor.reset()
        visitor.environment.session.context.on("dialog", dismiss_late)
        visitor.do("click <ask>")
        assert visitor.page.elements[0].name == "over"


HANGS = {
    "loop": "<button onclick='while (true) {}'>go</button>",
    "alerts": "<button onclick='while (true) alert(1)'>go</button>",
    "memory": "<button onclick='const a = []; while (true) a.push(Array(1e5).fill(a))'>go</button>",
}


@pytest.mark.parametrize(
    "name", ["loop", *(pytest.param(name, marks=pytest.mark.slow) for name in ("alerts", "memory"))]
)
def test_a_page_that_hangs_is_given_up_in_time(name):
    with Pages(start=HANGS[name]) as pages, Visitor(pages.site(), step_seconds=4) as visitor:
        visitor.reset()
        begin = time.monotonic()
        with pytest.raises(BrowserLost):
            visitor.do("click <go>")
        assert time.monotonic() - begin < 30
        with pytest.raises(BrowserLost, match="reset the environment first"):
            visitor.do("scroll [down]")
        visitor.reset()
        assert visitor.says("go")


def test_a_page_that_never_rests_is_read_as_it_is():
    start = """<p id="p">tick</p><button>stay</button><script>let n = 0;
        setInterval(() => p.textContent = 'tick ' + n++, 1)</script>"""
    with Pages(start=start) as pages, Visitor(pages.site()) as visitor:
        visitor.reset()
        visitor.do("click <stay>")
        assert visitor.says("tick")


def test_a_page_that_reloads_itself_without_end():
    start = "<p>again</p><script>setTimeout(() => location.reload(), 30)</script>"
    with Pages(start=start) as pages, Visitor(pages.site(), step_seconds=60) as visitor:
        for _ in range(2):
            with contextlib.suppress(BrowserLost):
                visitor.reset()
                assert visitor.page.url == f"{pages.origin}/start"


def test_the_size_of_a_tree_is_bounded(monkeypatch):
    start = """<button onclick="
        for (let i = 0; i < 1500; i++) document.body.append(Object.assign(
          document.createElement('button'), { textContent: 'x'.repeat(1000) }))">grow</button>
        <button onclick="let at = document.body; for (let i = 0; i < 400; i++) {
          const next = document.createElement('div'); next.role = 'group'; next.ariaLabel = 'g' + i;
          at.append(next); at = next }">deepen</button>
        <button onclick="document.body.innerHTML = '<b>x</b>'.repeat(6000)">flood</button>"""
    monkeypatch.setattr(tabs, "MOST_NODES", 5000)
    with Pages(start=start) as pages, Visitor(pages.site(), step_seconds=120) as visitor:
        visitor.reset()
        visitor.do("click <grow>")
        assert len(visitor.page.elements) == 1000
        assert len(visitor.page.tree) < 300_000
        visitor.reset()
        visitor.do("click <deepen>")
        assert max(e.depth for e in visitor.page.elements) > 100
        with pytest.raises(BrowserLost, match="nodes, over 5000"):
            visitor.do("click <flood>")
        visitor.reset()


def test_a_page_cannot_change_how_it_is_read():
    start = """<button onclick="
        window.MutationObserver = window.Promise = window.setTimeout = () => { throw 'no' };
        Object.defineProperty(document, 'readyState', { get() { while (true) {} } });
        document.querySelector('p').textContent = 'changed'">poison</button><p>clean</p>"""
    with Pages(start=start) as pages, Visitor(pages.site()) as visitor:
        visitor.reset()
        visitor.do("click <poison>")
        assert visitor.says("changed")
        visitor.do("scroll [down]")
        assert visitor.says("changed")


def test_a_navigation_in_the_middle_of_an_action():
    start = """<input aria-label="field" onkeydown="location = '/inner'">
        <button onmousedown="location = '/inner'">press</button>
        <button onclick="close()">close</button>
        <button onclick="history.back(); history.go(-9)">back</button>"""
    with Pages(start=start, inner=QUIET) as pages, Visitor(pages.site()) as visitor:
        for action in ("type <field> [hello] [1]", "click <press>"):
            visitor.reset()
            visitor.do(action)
            assert visitor.page.url == f"{pages.origin}/inner"
        visitor.reset()
        visitor.do("click <back>")
        assert visitor.page.url == f"{pages.origin}/start"
        with contextlib.suppress(BrowserLost):
            visitor.do("click <close>")
        visitor.reset()


def test_a_killed_browser_and_a_crashed_page():
    with Pages(start=QUIET) as pages, Visitor(pages.site(), step_seconds=60) as visitor:
        visitor.reset()
        os.kill(visitor.environment.browser.process, signal.SIGKILL)
        begin = time.monotonic()
        with pytest.raises(BrowserLost):
            visitor.do("click <stay>")
        visitor.reset()
        visitor.do("click <stay>")
        crash = visitor.environment.session.tab.cdp.send("Page.crash")
        with pytest.raises(BrowserLost, match="died"):
            visitor.environment._run(crash, 60)
        assert time.monotonic() - begin < 60
        visitor.reset()
        assert visitor.says("still here")


def test_a_browser_that_is_not_there(tmp_path, monkeypatch):
    with Pages(start=QUIET) as pages:
        with pytest.raises(FileNotFoundError, match="is not a program that can be run"):
            WebEnvironment(pages.site(), chromium=str(tmp_path / "chromium"))
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(FileNotFoundError, match="Chromium was not found on PATH"):
            WebEnvironment(pages.site())
