"""Actions and trees in a real Chromium, on pages that are written here."""

import pytest
from web_pages import Pages, Visitor, needs_browser

from rlvr_world.web.action import Action

needs_browser()

START = """<title>Start</title>
<h1>Things</h1>
<a href="/second?x=1">second page</a>
<script>const show = (id, text) => document.querySelector(id).textContent = text</script>
<button onclick="show('#n', 'count ' + ++n)">add</button>
<p id="n">count 0</p>
<label>name <input id="name" oninput="show('#said', this.value)"></label>
<p>said <b id="said">nothing</b></p>
<label><input type="checkbox"> agree</label>
<select aria-label="colour" onchange="show('#n', this.value)">
<option>red</option><option>green</option></select>
<p onmouseover="this.textContent = 'hovered'">hover here</p>
<form action="/second"><input name="q" aria-label="query"></form>
<button style="display: none">hidden</button>
<button onclick="setTimeout(() => show('#n', 'late'), 60)">wait</button>
<button onclick="this.remove()">vanish</button>
<script>let n = 0; document.onkeydown = e => { if (e.key == 'F2') document.title = 'F2' }</script>
"""
SECOND = "<title>Second</title><h1>Things</h1><p>other text</p><button>ok</button>"


@pytest.fixture(scope="module")
def visitor():
    with Pages(start=START, second=SECOND) as pages, Visitor(pages.site(objective="look")) as found:
        found.pages = pages
        yield found


def test_a_page_and_its_ids_over_actions(visitor):
    page = visitor.reset()
    assert page.objective == "look"
    assert page.previous_action == ""
    assert [(e.role, e.name) for e in page.elements][:5] == [
        ("RootWebArea", "Start"), ("heading", "Things"), ("link", "second page"),
        ("button", "add"), ("StaticText", "count 0"),
    ]  # fmt: skip
    assert not visitor.says("hidden")
    ids = {e.name: e.id for e in page.elements}
    visitor.do("click <add>")
    step = visitor.do("click <add>")
    assert (step.reward, step.done, step.info) == (0.0, False, {})
    assert step.observation.previous_action == f"click [{ids['add']}]"
    after = {e.name: e.id for e in step.observation.elements}
    assert "count 2" in after
    kept = ids.keys() & after.keys()
    assert kept > {"add", "second page", "agree", "query"}
    assert all(ids[name] == after[name] for name in kept)


def test_typing_replaces_and_keys_arrive(visitor):
    visitor.reset()
    text = "a long text of more letters than come as key strokes"
    visitor.do(f"type <name> [{text}] [0]")
    assert visitor.element("name", "textbox").properties == (("value", text), ("focused", "true"))
    assert visitor.says(text)
    visitor.do("type <name> [short] [0]")
    assert visitor.element("name", "textbox").properties[0] == ("value", "short")
    visitor.do("type <name> [] [0]")
    assert visitor.element("name", "textbox").properties == (("focused", "true"),)
    visitor.do("press [F2]")
    assert visitor.says("F2")


def test_clicks_choices_and_hovering(visitor):
    visitor.reset()
    visitor.do("click <agree>")
    assert ("checked", "true") in visitor.element("agree", "checkbox").properties
    visitor.do("click <green>")
    assert ("value", "green") in visitor.element("colour").properties
    assert visitor.element("green", "StaticText")
    visitor.do("hover <hover here>")
    assert visitor.says("hovered")
    visitor.do("scroll [down]")
    visitor.do("click <wait>")
    assert visitor.says("late")
    visitor.do("click <vanish>")
    assert not visitor.says("vanish")


def test_addresses_tabs_and_history(visitor):
    origin = visitor.pages.origin
    first = visitor.reset()
    assert visitor.do("go_back").info == {"error": "the tab's history has no such page"}
    heading = visitor.element("Things").id
    visitor.do("click <second page>")
    assert visitor.page.url == f"{origin}/second?x=1"
    assert visitor.says("other text")
    assert visitor.element("Things").id == heading
    assert visitor.element("Second").id == first.elements[0].id
    visitor.do("go_back")
    assert visitor.page.url == f"{origin}/start"
    visitor.do("go_forward")
    assert visitor.page.url == f"{origin}/second?x=1"
    visitor.do("new_tab")
    assert visitor.page.url == "about:blank"
    visitor.do(f"goto [{origin}/start]")
    assert visitor.page.url == f"{origin}/start"
    visitor.do("tab_focus [0]")
    assert visitor.page.url == f"{origin}/second?x=1"
    visitor.do("tab_focus [1]")
    visitor.do("type <query> [shoes] [1]")
    assert visitor.page.url == f"{origin}/second?q=shoes"
    visitor.do("close_tab")
    assert visitor.page.url == f"{origin}/second?x=1"
    assert visitor.do("close_tab").info == {"error": "the last tab stays open"}


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ("click [999]", "the page has no element [999]"),
        ("press [NoSuchKey]", "there is no key NoSuchKey"),
        ("tab_focus [3]", "there is no tab 3"),
        ("goto [http://example.org/]", "http://example.org/ is outside the allowed origins"),
        ("goto [file:///etc/passwd]", "file:///etc/passwd is outside the allowed origins"),
        ("goto [javascript:alert(1)]", "javascript:alert(1) is outside the allowed origins"),
    ],
)
def test_actions_that_cannot_be_done_change_nothing(visitor, action, error):
    before = visitor.reset()
    step = visitor.do(action)
    assert step.info == {"error": error}
    assert step.observation.elements == before.elements
    assert step.observation.url == before.url


def test_an_element_that_is_gone(visitor):
    page = visitor.reset()
    gone = visitor.element("vanish").id
    page_of = visitor.environment.session.tab.page
    visitor.environment.runner.run(page_of.evaluate("document.body.replaceChildren()"))
    step = visitor.do(f"click [{gone}]")
    assert step.info == {"error": "the element has no place on the page"}
    assert len(step.observation.elements) == 1 < len(page.elements)


def test_replay_and_pictures(visitor):
    visitor.reset()
    add = visitor.element("add").id
    actions = [Action("click", add), Action("click", add)]
    step = visitor.environment.replay("visit", 0, actions)
    assert any(e.name == "count 2" for e in step.observation.elements)
    assert visitor.environment.screenshot()[:8] == b"\x89PNG\r\n\x1a\n"


def test_nothing_is_left_of_an_episode(visitor):
    visitor.reset()
    tab = visitor.environment.session.tab.page
    script = "document.cookie = 'seen=1'; localStorage.setItem('seen', '1')"
    visitor.environment.runner.run(tab.evaluate(script))
    visitor.do("new_tab")
    visitor.reset()
    session = visitor.environment.session
    left = session.tab.page.evaluate("document.cookie + localStorage.length")
    assert visitor.environment.runner.run(left) == "0"
    assert len(session.tabs) == 1
