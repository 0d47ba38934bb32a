"""The web demo as a user runs it where there is no browser."""

import json

import pytest

from rlvr_world.cli import main
from rlvr_world.web.data import WebDataModule


@pytest.mark.slow
def test_demo_goes_from_the_packaged_pages_to_the_tables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    main(["demo", "web", "--overlay", "configs/trainer/debug.yaml"])
    folder = tmp_path / "checkpoints/miniwob_pages"
    samples = {}
    for split, place in {"test_tasks": folder, "test": folder / "known_tasks"}.items():
        table = json.loads((place / "table.json").read_text())
        assert list(table["rows"]) == [
            "focus_moves", "focus_and_text", "copy_last", "mle", "mle_tuned_sampling",
            "mle_mbr", "mle_equal_time", "rlvr",
        ]  # fmt: skip
        nothing_changes = table["rows"]["copy_last"]
        assert nothing_changes["changed_f1"][0] == 0 < nothing_changes["f1"][0] < 100
        assert nothing_changes["exact"][0] == nothing_changes["precision"][0]
        assert table["too_long"] == {"prompt": 0, "answer": 0}
        samples[split] = table["samples"]
    counts = WebDataModule("data/web_pages").manifest.splits
    assert samples == {n: counts[n].sites["pages"].transitions for n in samples}
