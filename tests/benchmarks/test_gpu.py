"""The script for one GPU, tried out on the CPU: what stages leave, reruns, and failures."""

import json
import os
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from stages import ROOT

from benchmarks.__main__ import main
from benchmarks.gpu_page import PAGE
from benchmarks.report import number

SCRIPT = ROOT / "benchmarks/gpu.sh"
TRAININGS = ("pusht", "bytesized32")

pytestmark = pytest.mark.skipif(not shutil.which("timeout"), reason="needs timeout of coreutils")


def script(folder, *options, python=sys.executable):
    return subprocess.run(
        ["bash", SCRIPT, "--scale", "tiny", "--output", folder, *options],
        env=os.environ | {"PYTHON": str(python), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder in which the script ran without trainings."""
    folder = tmp_path_factory.mktemp("gpu") / "results"
    done = script(folder, "--skip", *TRAININGS)
    logs = "".join(path.read_text() for path in folder.glob("*.log"))
    assert done.returncode == 0, done.stdout + done.stderr + logs
    return folder


def test_each_stage_leaves_its_measurements(results):
    stages = ("tests", "single_step", "multi_step", "rollouts", "trace")
    assert {path.stem for path in results.glob("*.done")} == set(stages)
    (suite,) = ElementTree.parse(results / "tests.xml").getroot()
    assert int(suite.get("tests")) >= 4
    for name, case in (("single_step", "single-step"), ("multi_step", "multi-step")):
        (row,) = json.loads((results / f"{name}.json").read_text())["rows"]
        assert row["case"] == f"{case} RLVR step"
        notes = row["notes"]
        parts = [notes[f"{part}, s"] for part in ("rollout", "decode", "reward", "update")]
        assert min(parts) > 0
        assert notes["step, s"] == pytest.approx(sum(parts))
        assert min(notes[key] for key in notes if key.startswith("times the floor")) > 0
    rows = json.loads((results / "rollouts.json").read_text())["rows"]
    assert [row["case"] for row in rows[-2:]] == ["rollout beside generate"] * 2
    slowest = json.loads((results / "trace/slowest.json").read_text())
    for name in ("rollout", "update"):
        names = {
            e["name"]
            for e in json.loads((results / f"trace/{name}.json").read_text())["traceEvents"]
        }
        assert set(slowest[name]) <= names


def test_the_page_is_filled_from_what_stages_left(results, tmp_path):
    main(["gpu-page", str(results), "--output", str(tmp_path / "page.md")])
    page = (tmp_path / "page.md").read_text()
    step = json.loads((results / "multi_step.json").read_text())["rows"][0]["notes"]["step, s"]
    assert f"| {number(step)} | 20, then 10; multi-step 30 |" in page
    assert page.count("| not measured |") == len(TRAININGS)
    assert re.search(r"`torch.compile`; \d+ passed, \d+ skipped \|", page)
    assert "No GPU has run" not in page
    for heading in ("RLVR steps", "Rollouts", "Slowest operations: update"):
        assert f"## {heading}\n" in page


def test_the_page_without_numbers_says_so(tmp_path, capsys):
    main(["gpu-page", "--output", str(tmp_path / "page.md")])
    page = (tmp_path / "page.md").read_text()
    assert "No GPU has run any of this yet" in page
    assert page.count("| not measured |") == 7 + 4
    if "No GPU has run" in PAGE.read_text():
        assert PAGE.read_text() == page
    with pytest.raises(SystemExit):
        main(["gpu-page", str(tmp_path)])
    assert "no stage is done there" in capsys.readouterr().err


def test_a_second_run_keeps_what_is_done(results):
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*") if path.is_file()}
    again = script(results, "--skip", *TRAININGS)
    assert again.returncode == 0
    assert again.stdout.count("kept from an earlier run") == 5
    assert before == {p: p.stat().st_mtime_ns for p in results.rglob("*") if p.is_file()}


def test_a_failing_stage_is_counted_and_others_run(tmp_path):
    """With an interpreter that fails at ByteSized32 and at traces."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\ncase "$*" in *trace*|*bytesized32*) echo no; exit 3;; esac\n')
    python.chmod(0o755)
    done = script(tmp_path, "--bytesized32", "published", python=python)
    assert done.returncode == 2
    assert done.stdout.endswith("2 failed: bytesized32 trace\n")
    assert "trace: FAILED (no)" in done.stdout
    stages = {"tests", "single_step", "multi_step", "pusht", "rollouts"}
    assert {path.stem for path in tmp_path.glob("*.done")} == stages


def test_what_is_no_stage_is_refused(tmp_path):
    done = script(tmp_path, "--only", "sorting")
    assert done.returncode == 64
    assert "sorting is no option or stage; the stages are tests single_step" in done.stderr


@pytest.mark.slow
def test_trainings_reach_their_tables(tmp_path):
    pytest.importorskip("gym_pusht", reason="gym-pusht is not installed")
    done = script(tmp_path, "--only", "pusht")
    assert done.returncode == 0, done.stdout + (tmp_path / "pusht.log").read_text()
    assert "rlvr" in json.loads((tmp_path / "pusht/table.json").read_text())["rows"]
