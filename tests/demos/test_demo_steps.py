"""The command lines of the demos, and which stages they keep."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from stages import ROOT

sys.path.insert(0, str(Path(__file__).parent))
from command import Command

from rlvr_world.demos.presets import (
    ByteSized32Demo,
    MetaWorldDemo,
    PushTDemo,
    PushTMultiStepDemo,
    ShopDemo,
    TextWorldDemo,
    WebDemo,
)
from rlvr_world.web.sites import miniwob

CONTROL = "mle_equal_time"
VIDEO = ["tokenizer", "mle", "rlvr", "rlvr_repetition", CONTROL]
RUNS = {
    PushTDemo: ["tokenizer", "mle", "rlvr", CONTROL],
    PushTMultiStepDemo: VIDEO,
    MetaWorldDemo: ["state_probe", *VIDEO],
    TextWorldDemo: ["mle", "rlvr", "rlvr_task_specific", CONTROL],
    ShopDemo: ["mle", "rlvr", CONTROL],
    WebDemo: ["mle", "rlvr", CONTROL],
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder but for the configs."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "configs", "configs")
    return tmp_path


@pytest.mark.parametrize("demo", RUNS)
def test_every_stage_runs_once_after_all_configs_are_checked(here, demo):
    command = Command()
    made = demo(command=command)
    made.run_all()
    assert command.runs() == RUNS[demo]
    assert str(made.config("evaluation")) in {call[2] for call in command.checked}
    record = command.calls[0]
    assert record[:4] == ["data", made.source, "-c", str(made.config("recording"))]
    control = command.named("fit")[-1]
    assert control["--model.weights"] == "mle"
    assert control["--trainer.max_steps"] == "200"
    assert control["--trainer.limit_train_batches"] == "50"
    table = command.named("evaluate")[0]
    assert table["--folder"] == table["--output"] == str(made.folder)
    assert json.loads(table["--seconds"]).keys() >= {"data", *RUNS[demo]}


@pytest.mark.parametrize(
    ("demo", "folder", "data"),
    [
        (PushTDemo, "pusht", "pusht"),
        (PushTMultiStepDemo, "pusht/multi_step", "pusht_multi_step"),
        (MetaWorldDemo, "metaworld", "metaworld"),
        (TextWorldDemo, "textworld", "textworld"),
        (WebDemo, "miniwob", "web"),
        (ShopDemo, "shop", "web_shop"),
    ],
)
def test_folders_follow_from_the_preset(tmp_path, monkeypatch, demo, folder, data):
    monkeypatch.chdir(tmp_path)
    made = demo(command=Command())
    assert made.folder == Path("checkpoints", folder)
    assert made.data == Path("data", data)


def test_a_copied_preset_has_its_own_folder(here):
    shutil.copytree("configs/pusht", "configs/mine")
    command = Command()
    PushTDemo(command=command, preset=Path("configs/mine")).run_all()
    assert {given["--folder"] for given in command.named("fit")} == {"checkpoints/mine"}
    with pytest.raises(FileNotFoundError, match=r"codec|data.yaml: no such config"):
        PushTDemo(command=command, preset=Path("configs/none"))


def test_a_wrong_config_ends_the_demo_before_anything_is_made(here):
    class Wrong(Command):
        def __call__(self, call):
            if "evaluation.yaml" in call[2] and call[-1] == "--print_config":
                raise SystemExit(2)
            super().__call__(call)

    command = Wrong()
    with pytest.raises(SystemExit, match="2"):
        PushTDemo(command=command).run_all()
    assert not command.calls


@pytest.mark.parametrize(("lr", "expected"), [(2e-3, "0.001"), (1e-4, "0.0001")])
def test_the_control_begins_no_faster_than_mle(here, lr, expected):
    command = Command(lr)
    TextWorldDemo(command=command).run_all()
    assert command.named("fit")[-1]["--model.optimizer.lr"] == expected


def test_options_of_tables_reach_each_of_them(here):
    command = Command()
    demo = WebDemo(command=command, tables={"limit": 9, "tune": {}}, agent_tasks=[])
    demo.run_all()
    tables = command.named("evaluate")
    assert [(table["--limit"], table["--tune"]) for table in tables] == [("9", "{}")] * 2


def test_tokens_and_other_actions_lie_beside_the_data(here):
    command = Command()
    PushTMultiStepDemo(command=command, data=Path("d/clips")).run_all()
    by_run = {given["--run"]: given for given in command.named("fit")}
    assert by_run["mle"]["--data.root"] == by_run[CONTROL]["--data.root"] == "d/clips_tokens"
    assert by_run["rlvr"]["--data.root"] == "d/clips"
    assert by_run[CONTROL]["--model.optimizer.lr"] == "0.0003"
    first, *replayed = command.named("evaluate")
    for each in (first, *replayed):
        assert each["--scene.init_args.training"] == "d/clips"
    splits = [each["--data.test_split"] for each in replayed]
    assert splits == ["test", "test_counterfactual", "test_ood"]
    assert {each["--data.root"] for each in replayed} == {"d/clips_counterfactual"}
    assert [each["--output"] for each in replayed] == [
        f"checkpoints/pusht/multi_step/counterfactual/{split}" for split in splits
    ]


def test_what_follows_a_changed_stage_is_trained_again(here):
    command = Command()

    def run():
        before = len(command.runs())
        MetaWorldDemo(command=command).run_all()
        return command.runs()[before:]

    run()
    assert run() == []
    config = Path("configs/metaworld/world_model.yaml")
    config.write_text(config.read_text().replace("max_steps: 3000", "max_steps: 3001"))
    assert run() == ["mle", "rlvr", "rlvr_repetition", CONTROL]
    Path("checkpoints/metaworld/rlvr_repetition/finished.json").unlink()
    assert run() == ["rlvr_repetition"]
    last = command.named("fit")[-1]
    assert last["--ckpt_path"] == "checkpoints/metaworld/rlvr_repetition/checkpoints/last.ckpt"


def test_overlays_lie_over_every_stage_and_options_over_the_recording(here):
    command = Command()
    overlay = [Path("configs/trainer/debug.yaml"), Path("configs/trainer/gpu.yaml")]
    sizes = {"episodes.train": 3, "episodes": {"val": 2}, "tasks": None}
    PushTDemo(command=command, overlay=overlay, recording=sizes).run_all()
    assert command.calls[0][-3:] == [
        "--episodes.train=3", '--episodes={"val": 2}', "--tasks=null",
    ]  # fmt: skip
    for call in command.calls:
        if call[0] == "fit":
            layers = call[1 : call.index("--folder")]
            assert layers[2:] == ["-c", str(overlay[0]), "-c", str(overlay[1])]


def test_data_and_tokenizer_that_are_there_are_kept(here):
    for path in ("data/textworld/manifest.json", "checkpoints/textworld/tokenizer/tokenizer.json"):
        Path(path).parent.mkdir(parents=True)
        Path(path).write_text("{}")
    command = Command()
    TextWorldDemo(command=command).run_all()
    assert not command.named("data")


@pytest.mark.parametrize(
    ("preset", "made"),
    [("configs/bytesized32", ["data", "bpe"]),
     ("configs/bytesized32/smollm2", ["convert", "smollm2"])],
)  # fmt: skip
def test_bytesized32_is_converted_and_gets_the_tokenizer_of_its_codec(here, preset, made):
    command = Command()
    ByteSized32Demo(Path("published"), command=command, preset=Path(preset)).run_all()
    assert command.calls[0][:3] == ["data", "bytesized32", "published"]
    assert command.calls[1][:2] == made
    assert command.runs() == RUNS[TextWorldDemo]


def test_without_a_browser_the_packaged_pages_take_their_place(here, capsys):
    command = Command()
    missing = FileNotFoundError("Chromium was not found")
    command.fails = {"data web": missing, "web-agent -c": missing}
    WebDemo(command=command).run_all()
    said = " ".join(capsys.readouterr().out.split())
    assert "Chromium was not found. The demo goes on" in said
    assert "The web agents are left out: Chromium was not found" in said
    assert command.named("data", "packaged-pages")[0]["--root"] == "data/web_pages"
    assert {given["--folder"] for given in command.named("fit")} == {"checkpoints/miniwob_pages"}


def test_two_tables_and_the_agents(here):
    command = Command()
    WebDemo(command=command, agent_tasks=["click-option"]).run_all()
    held_out, known = command.named("evaluate")
    assert "--data.test_split" not in held_out
    assert known["--data.test_split"] == "test"
    assert known["--output"] == "checkpoints/miniwob/known_tasks"
    agent = command.named("web-agent")[0]
    assert agent["--tasks"] == '["click-option"]'
    assert agent["--folder"] == "checkpoints/miniwob"
    command.calls.clear()
    WebDemo(command=command, agent_tasks=[]).run_all()
    assert not command.named("web-agent")


def test_the_tasks_are_those_of_miniwob():
    pytest.importorskip("playwright", reason="needs Playwright")
    import yaml

    from rlvr_world.demos.presets import AGENT_TASKS

    tasks = yaml.safe_load((ROOT / "configs/miniwob/recording.yaml").read_text())["tasks"]
    every = miniwob.MiniWoB().tasks
    assert set(AGENT_TASKS) < set(tasks) < set(every)
    assert [task for task in tasks if task in miniwob.HELD_OUT] == tasks[-14:]
