"""Clips that a person labels: by keys in a browser, and what the server refuses."""

import json
import os
from http.client import HTTPConnection
from pathlib import Path

import pytest
import torch
from web_pages import needs_browser

from rlvr_world.applications.loopback_server import LoopbackServer
from rlvr_world.applications.policies.labelling import command
from rlvr_world.applications.policies.labelling.clips import animation
from rlvr_world.applications.policies.labelling.labels import Labels, agreements
from rlvr_world.cli import main
from rlvr_world.files import write_json
from rlvr_world.web.browser.chromium import find_chromium


@pytest.fixture
def folder(tmp_path):
    origin = {}
    for number, world in enumerate(["real", "mle", "mle"]):
        frames = torch.full((2, 3, 16, 16), 80 * number, dtype=torch.uint8)
        (tmp_path / f"{number:03d}.webp").write_bytes(animation(frames))
        about = {"world": world, "task": "drawer-open", "policy": "expert"}
        origin[f"{number:03d}.webp"] = about | {"success": number != 1}
    write_json(tmp_path / "origin.json", origin)
    return tmp_path


@pytest.fixture
def server(folder):
    server = LoopbackServer(Path(command.__file__).parent, Labels(folder).calls)
    server.start()
    yield server
    server.close()


def asked(server, method, path, given=None, **headers):
    connection = HTTPConnection("127.0.0.1", server.server.server_port, timeout=10)
    sent = {"Content-Type": "application/json"} | {k.title(): v for k, v in headers.items()}
    connection.request(method, path, None if given is None else json.dumps(given), sent)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_nothing_says_where_a_clip_comes_from(server):
    status, clips = asked(server, "GET", "/clips")
    assert status == 200
    assert set(json.loads(clips)[0]) == {"clip", "task", "label"}
    status, address = asked(server, "POST", "/clip", {"clip": "001.webp"})
    assert (status, address[:23]) == (200, '"data:image/webp;base64')
    for path in ("/origin.json", "/labels.jsonl", "/../origin.json", "/001.webp"):
        assert asked(server, "GET", path)[0] == 404


def test_other_files_hosts_origins_and_labels_are_refused(server, folder):
    for clip in ("origin.json", "../secret", "", None, ["001.webp"]):
        assert asked(server, "POST", "/clip", {"clip": clip})[0] == 400
    good = {"clip": "001.webp", "label": "success"}
    assert asked(server, "POST", "/label", good | {"label": "perhaps"})[0] == 400
    assert asked(server, "POST", "/label", good, host="example.com")[0] == 400
    assert asked(server, "POST", "/label", good, origin="http://example.com")[0] == 403
    assert not (folder / "labels.jsonl").exists()
    assert asked(server, "POST", "/label", good) == (200, "1")


def test_the_last_label_counts_and_the_command_prints_the_agreement(folder, capsys):
    labels = Labels(folder)
    for clip, said in ((0, "failure"), (0, "success"), (1, "success"), (2, "unclear")):
        labels.add({"clip": f"{clip:03d}.webp", "label": said})
    expected = {"all": (2, 50, 100, 50), "mle": (1, 0, 100, 0), "real": (1, 100, 100, 100)}
    assert agreements(Labels(folder)) == expected
    main(["label", str(folder), "--serve", "false"])
    assert "| real | 1 | 100 | 100 | 100 |" in capsys.readouterr().out
    (folder / "labels.jsonl").write_text('{"clip": "../x", "label": "success"}\n')
    with pytest.raises(ValueError, match="a label has a clip of the folder"):
        Labels(folder)
    (folder / "origin.json").unlink()
    with pytest.raises(FileNotFoundError, match="give the folder `clips`"):
        Labels(folder)


def test_a_person_labels_by_keys_and_goes_back(server, folder):
    needs_browser()
    from playwright.sync_api import expect, sync_playwright

    faults = []
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=find_chromium(), chromium_sandbox=os.geteuid() != 0
        )
        page = chromium.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(server.url)
        page.wait_for_selector("body[data-ready]")
        note = page.locator("#note")
        page.keyboard.press("s")
        expect(note).to_have_text("Clip 2 of 3, 1 labelled")
        page.keyboard.press("f")
        expect(note).to_have_text("Clip 3 of 3, 2 labelled")
        page.keyboard.press("Backspace")
        expect(note).to_have_text("Clip 2 of 3, 2 labelled")
        page.click("text=Unclear")
        expect(note).to_have_text("Clip 3 of 3, 2 labelled")
        assert page.evaluate("document.getElementById('clip').naturalWidth") == 16
        page.reload()
        expect(note).to_have_text("Clip 3 of 3, 2 labelled")
    assert faults == []
    assert Labels(folder).said == {"000.webp": "success", "001.webp": "unclear"}
