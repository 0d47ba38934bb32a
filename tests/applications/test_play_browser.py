"""The page in a browser: load, step, rewind, branch."""

import os
from pathlib import Path

import pytest
from tiny_video import TinyVideo, export_tokenizer, save_untrained
from web_pages import needs_browser

from rlvr_world.applications.loopback_server import LoopbackServer
from rlvr_world.applications.play import command
from rlvr_world.applications.play.session import Moment, Session, World
from rlvr_world.applications.play.simulated import Simulated
from rlvr_world.applications.play.video_world import VideoWorld
from rlvr_world.modules.saved import load_world_model
from rlvr_world.video.scenes.pusht import View
from rlvr_world.video.sources.pusht import PushTRecorder
from rlvr_world.video.sources.recorder import Episodes
from rlvr_world.web.browser.chromium import find_chromium

needs_browser()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    return load_world_model(save_untrained(folder / "mle.ckpt", export_tokenizer(folder / "vq")))


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        yield driver.chromium.launch(
            executable_path=find_chromium(), chromium_sandbox=os.geteuid() != 0
        )


@pytest.fixture
def opened(chromium):
    """Opens a world's page; at the end no script failed and nothing came from elsewhere."""
    servers, faults, asked = [], [], []

    def open_page(world):
        session = Session(world)
        servers.append(LoopbackServer(Path(command.__file__).parent, session.calls))
        servers[0].start()
        page = chromium.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(servers[0].url)
        page.wait_for_selector("body[data-ready]")
        return page, session

    yield open_page
    origin = servers[0].url
    servers[0].close()
    assert all(url.startswith((origin, "data:")) for url in asked)
    assert faults == []


def moments(page, count):
    """Wait for so many moments; the number of the one that is shown."""
    from playwright.sync_api import expect

    expect(page.locator(".moment")).to_have_count(count)
    return page.get_attribute(".moment.here", "aria-label").split()[1].rstrip(",")


RED = """() => document.getElementById("overlay").getContext("2d")
    .getImageData(0, 0, 512, 512).data.reduce((sum, value) => sum + value, 0)"""


def test_a_person_steps_rewinds_and_branches(opened, model):
    page, session = opened(VideoWorld(model, TinyVideo()))
    assert page.evaluate("document.getElementById('predicted').width") == 32
    assert page.inner_text("#note") == "the data is no recording"
    page.locator("#actions input").first.fill("0.25")
    page.click("#step")
    assert moments(page, 2) == "1"
    page.keyboard.press("Backspace")
    assert moments(page, 2) == "0"
    page.keyboard.press("Enter")
    assert moments(page, 3) == "2"
    page.click(".moment >> nth=1")
    page.click("#step")
    assert moments(page, 4) == "3"
    assert [moment.shown["parent"] for moment in session.moments] == [None, 0, 0, 1]
    assert session.moments[1].shown["action"] == [0.25, 0.5]
    assert page.locator(".branch").count() == 2
    assert page.evaluate(RED) == 0
    page.check("#certain")
    assert page.evaluate(RED) > 0
    page.reload()
    assert moments(page, 4) == "3"
    page.fill("#start", "2")
    page.click("#starts button")
    assert moments(page, 1) == "0"
    assert page.inner_text("#key") == "clip2"


def test_a_click_is_where_the_agent_goes(opened, model, tmp_path):
    pytest.importorskip("gym_pusht", reason="needs gym-pusht")
    episodes, view = Episodes(1, 1, 1), View(320, 32)
    PushTRecorder(str(tmp_path / "pusht"), episodes, 8, view=view, processes=1).record()
    world = VideoWorld(model, tmp_path / "pusht")
    assert isinstance(world.truth, Simulated)
    model.codec.action_low.fill_(96)
    model.codec.action_high.fill_(416)
    page, session = opened(world)
    box = page.locator("#overlay").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    assert moments(page, 2) == "1"
    assert session.moments[1].shown["action"] == pytest.approx([176, 256], abs=1)
    assert page.is_visible("#truth")
    page.keyboard.press("ArrowRight")
    assert moments(page, 3) == "2"
    assert session.moments[2].shown["action"] == pytest.approx([196, 256], abs=1)


class Words(World):
    """Says each action back as if it were HTML."""

    def about(self):
        return {"kind": "text", "starts": 1, "without": ""}

    def begin(self, start):
        shown = {"key": "k", "text": "", "action": None, "state": "dark", "actions": ["switch 1"]}
        return Moment(shown, None)

    def step(self, moment, action, rng):
        shown = {"text": f"<b>{action}</b>", "truth": "<i>lit</i>", "action": action}
        shown |= {"certainty": [["<b>", 0.5], [action, 1.0]], "state": "light", "actions": []}
        return Moment(shown, None)


def test_actions_in_words_are_written_or_chosen(opened):
    page, session = opened(Words())
    page.click("#known button")
    assert moments(page, 2) == "1"
    assert page.inner_text("#said") == "<b>switch 1</b>"
    assert page.inner_text("#true_said") == "<i>lit</i>"
    assert page.inner_text("#state") == "light"
    page.fill("#action", "dance")
    page.press("#action", "Enter")
    assert moments(page, 3) == "2"
    assert session.moments[2].shown["action"] == "dance"
    page.check("#certain")
    assert page.locator("#said span").all_inner_texts() == ["<b>", "dance"]
    assert page.locator("main b, main i").count() == 0
