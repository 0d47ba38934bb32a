"""The notebooks run from their first cell to their last, and hold no outputs."""

import json
import shutil
from pathlib import Path

import pytest
from stages import ROOT

NOTEBOOKS = {
    path.stem: json.loads(path.read_text()) for path in ROOT.glob("docs/notebooks/*.ipynb")
}
SHOWS = {"predict": "safest of 4", "reward": "val/reward/blue", "policy": "upwards"}


def cells(name):
    return [cell for cell in NOTEBOOKS[name]["cells"] if cell["cell_type"] == "code"]


def run(name, capsys):
    names = {"__name__": "__main__"}
    for cell in cells(name):
        exec(compile("".join(cell["source"]), name, "exec"), names)
    assert SHOWS[name] in capsys.readouterr().out


def test_they_begin_alike_and_hold_no_outputs():
    assert set(NOTEBOOKS) == set(SHOWS)
    assert len({"".join(cells(name)[0]["source"]) for name in NOTEBOOKS}) == 1
    assert not [name for name in NOTEBOOKS for cell in cells(name) if cell["outputs"]]


@pytest.mark.parametrize("name", SHOWS)
def test_with_models_that_are_there(name, pipeline, tmp_path, monkeypatch, capsys):
    shutil.copytree(pipeline, tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    run(name, capsys)


@pytest.mark.slow
def test_from_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run("predict", capsys)
    assert Path("checkpoints/pusht/rlvr/checkpoints/last.ckpt").is_file()
