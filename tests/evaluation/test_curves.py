"""Learning curves out of real event files."""

import csv
import json
import time

import pytest
from torch.utils.tensorboard import SummaryWriter

from rlvr_world.evaluation.curves import curves


def write_run(folder, parts, minibatches=None):
    """A run whose event files hold, (step, seconds since the file's start, value)."""
    folder.mkdir(parents=True)
    options = {} if minibatches is None else {"num_minibatches": minibatches}
    (folder / "config.yaml").write_text(json.dumps({"model": {"init_args": options}}))
    for number, points in enumerate(parts):
        writer = SummaryWriter(folder, filename_suffix=f".{number}")
        start = time.time()
        writer.add_scalar("hp_metric", -1, 0, walltime=start)
        for step, seconds, value in points:
            writer.add_scalar("val/reward", value, step, walltime=start + seconds)
        writer.close()
        time.sleep(1.1)  # the name of a file holds the second of its start
    return folder


@pytest.fixture
def runs(tmp_path):
    mle = write_run(tmp_path / "mle", [[(9, 10, -3), (19, 20, -2)]])
    interrupted = [[(4, 50, -1.5), (9, 100, -9), (14, 150, -9)], [(9, 30, -1.25), (14, 60, -1)]]
    return {"mle": mle, "rlvr": write_run(tmp_path / "rlvr", interrupted, minibatches=2)}


def test_steps_and_seconds(runs, tmp_path):
    points = curves(runs, tmp_path / "out", ("val/reward",))
    assert points["run"].tolist() == ["mle"] * 2 + ["rlvr"] * 3
    assert points["batches"].tolist() == [10, 20, 5, 10, 15]
    assert points["gradient_steps"].tolist() == [10, 20, 10, 20, 30]
    assert points["value"].tolist() == [-3, -2, -1.5, -1.25, -1]
    assert points["seconds"].tolist() == pytest.approx([10, 20, 50, 80, 110], abs=0.5)
    written = json.loads((tmp_path / "out/curves.json").read_text())
    assert written["rlvr"]["val/reward"]["values"] == [-1.5, -1.25, -1]
    assert set(written["mle"]["val/reward"]) == {"batches", "gradient_steps", "seconds", "values"}
    with (tmp_path / "out/curves.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 5
    assert (tmp_path / "out/curves.png").stat().st_size > 1000


def test_a_run_begins_where_the_one_before_it_ends(runs, tmp_path):
    points = curves(runs, tmp_path, ("val/reward",), {"rlvr": "mle"})
    rlvr = points[points["run"] == "rlvr"]
    assert rlvr["gradient_steps"].tolist() == [30, 40, 50]
    assert rlvr["seconds"].tolist() == pytest.approx([70, 100, 130], abs=1)


def test_wrong_input_is_named(runs, tmp_path):
    with pytest.raises(ValueError, match="no run logged loss; they logged val/reward"):
        curves(runs, tmp_path, ("loss",))
    with pytest.raises(ValueError, match="axes: no hours"):
        curves(runs, tmp_path, axes=("hours",))
    with pytest.raises(ValueError, match="after: sft is no other one of the runs mle, rlvr"):
        curves(runs, tmp_path, ("val/reward",), {"rlvr": "sft"})
    with pytest.raises(FileNotFoundError, match="holds no run"):
        curves({"none": tmp_path}, tmp_path)
