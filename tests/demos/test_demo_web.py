"""The web demo: what it runs with and without a browser, and the whole of it on its own pages."""

import json
import shutil

import pytest
from stages import ROOT

from rlvr_world import cli
from rlvr_world.cli import main
from rlvr_world.demos.web import AGENT_TASKS, TASKS, WebDemo
from rlvr_world.web.browser import chromium
from rlvr_world.web.data import WebDataModule
from rlvr_world.web.sites import miniwob

TINY = {"train": 3, "val": 1, "test": 1, "test_tasks": 2}


def demo(
    folder, calls, missing="", agent_tasks=("click-option",), tasks=("click-tab", "click-menu")
):
    return WebDemo(
        missing, TINY, tasks, agent_tasks, 2, command=calls.append, preset="web_demo",
        folder=folder / "run", data=folder / "data", configs=ROOT / "configs",
    )  # fmt: skip


def test_pages_are_recorded_and_a_tokenizer_learnt_from_them(tmp_path):
    calls = []
    options = demo(tmp_path, calls).prepare()
    root, tokenizer = ("--root", str(tmp_path / "data")), str(tmp_path / "run/tokenizer")
    sizes = [f"--episodes.{split}={count}" for split, count in TINY.items()]
    assert calls == [
        ("data", "web", *root, *sizes, '--tasks=["click-tab", "click-menu"]'),
        ("data", "bpe", "--data=rlvr_world.web.data.WebDataModule", "--data.root", root[1],
         "--output", tokenizer),
    ]  # fmt: skip
    assert options == ("--data.root", root[1], "--model.codec.tokenizer", tokenizer)


def test_without_a_browser_the_packaged_pages_take_their_place(tmp_path, capsys):
    calls = []
    demo(tmp_path, calls, missing="Chromium was not found").prepare()
    assert [call[:2] for call in calls] == [("data", "bpe")]
    assert json.loads((tmp_path / "data/manifest.json").read_text())["source"] == "pages"
    assert "Chromium was not found. The demo goes on" in " ".join(capsys.readouterr().out.split())


def test_a_recording_that_is_there_is_kept(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/manifest.json").write_text("{}")
    calls = []
    demo(tmp_path, calls).prepare()
    demo(tmp_path, calls, missing="no browser").prepare()
    assert {call[:2] for call in calls} == {("data", "bpe")}
    assert (tmp_path / "data/manifest.json").read_text() == "{}"


def test_two_tables_and_the_agents(tmp_path):
    (tmp_path / "run").mkdir()
    calls = []
    demo(tmp_path, calls).evaluate({"mle": "last", "rlvr": "best"})
    held_out, known, agent = calls
    for call, folder in ((held_out, "run"), (known, "run/known_tasks")):
        assert call[:3] == ("evaluate", "-c", str(ROOT / "configs/evaluation/web_demo.yaml"))
        pairs = dict(zip(call[1::2], call[2::2], strict=True))
        assert pairs["--output"] == str(tmp_path / folder)
        assert json.loads(pairs["--models"])["rlvr"].endswith("run/rlvr/checkpoints/best.ckpt")
    assert "--data.test_split" not in held_out
    assert known[-2:] == ("--data.test_split", "test")
    config = tmp_path / "run/agent.yaml"
    assert agent == ("web-agent", "-c", str(config), '--tasks=["click-option"]', "--seeds=2")
    text = config.read_text()
    assert f"checkpoint: {tmp_path}/run/rlvr/checkpoints/best.ckpt" in text
    assert f"output: {tmp_path}/run/agent" in text


@pytest.mark.parametrize("changes", [{"missing": "no browser"}, {"agent_tasks": ()}])
def test_agents_are_left_out(tmp_path, changes, capsys):
    calls = []
    demo(tmp_path, calls, **changes).plan()
    assert not calls
    said = "left out: it needs a browser" in capsys.readouterr().out
    assert said == ("missing" in changes)


def test_the_tasks_are_those_of_miniwob():
    pytest.importorskip("playwright", reason="needs Playwright")
    every = miniwob.MiniWoB().tasks
    assert set(AGENT_TASKS) < set(TASKS) < set(every)
    assert [task for task in TASKS if task in miniwob.HELD_OUT] == list(TASKS[-14:])


@pytest.mark.parametrize("browser", [True, False])
def test_the_command_looks_for_a_browser(browser, monkeypatch):
    pytest.importorskip("playwright", reason="needs Playwright")
    monkeypatch.setattr(chromium.shutil, "which", lambda _: "/usr/bin/true" if browser else None)
    found = []
    monkeypatch.setattr(WebDemo, "run_all", lambda self: found.append(self))
    main(["demo-web"])
    name = "web" if browser else "web_pages"
    assert str(found[0].folder) == f"checkpoints/demo/{name}"
    assert str(found[0].data) == f"data/{name}"
    assert ("Chromium was not found on PATH" in found[0].missing) != browser


@pytest.mark.slow
def test_demo_goes_from_the_packaged_pages_to_the_tables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.setattr(cli, "missing_for_miniwob", lambda: "There is no browser")
    main(["demo-web", "--overlay", "configs/trainer/debug.yaml"])
    folder = tmp_path / "checkpoints/demo/web_pages"
    samples = {}
    for split, place in {"test_tasks": folder, "test": folder / "known_tasks"}.items():
        table = json.loads((place / "table.json").read_text())
        assert list(table["rows"]) == [
            "copy_last", "mle", "mle_tuned_sampling", "mle_equal_time", "rlvr",
        ]  # fmt: skip
        nothing_changes = table["rows"]["copy_last"]
        assert nothing_changes["changed_f1"][0] == 0 < nothing_changes["f1"][0] < 100
        assert nothing_changes["exact"][0] == nothing_changes["precision"][0]
        assert table["too_long"] == {"prompt": 0, "answer": 0}
        samples[split] = table["samples"]
    counts = WebDataModule("data/web_pages").manifest.splits
    assert samples == {n: counts[n].sites["pages"].transitions for n in samples}
