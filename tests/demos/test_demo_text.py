"""The text demo as a user runs it, on few games and for a few steps."""

import json

import pytest

from rlvr_world.cli import main

pytest.importorskip("textworld", reason="textworld is not installed")


@pytest.mark.slow
def test_demo_goes_from_nothing_to_the_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    games = [f"--recording.games.{split}=2" for split in ("train", "val", "test")]
    main(["demo", "textworld", "--overlay", "configs/trainer/debug.yaml", *games])
    table = json.loads((tmp_path / "checkpoints/textworld/table.json").read_text())
    assert list(table["rows"]) == [
        "verb_rule", "copy_last", "mle", "mle_tuned_sampling", "mle_mbr", "mle_equal_time",
        "rlvr", "rlvr_task_specific",
    ]  # fmt: skip
    nothing_changes = table["rows"]["copy_last"]
    assert nothing_changes["unchanged"][0] == 100
    assert nothing_changes["changed"][0] == 0
    assert 0 < nothing_changes["overall"][0] < 100
    assert table["rows"]["mle"]["nll"][0] > 0
    logged = tmp_path / "checkpoints/textworld/mle"
    assert list(logged.glob("events.out.tfevents.*"))
