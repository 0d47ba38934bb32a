"""Two ranks train as one process does on the same global batches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ranks import STEPS, trainings, validations

SCRIPT = Path(__file__).with_name("ranks.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def alone(folder):
    """What one process finds."""
    return {"trainings": trainings(folder, 1), "validations": validations(folder, 1)}


def run(*args, script=SCRIPT, **options):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SLURM"))}
    return subprocess.run(
        [sys.executable, script, *args], env=environment | {"OMP_NUM_THREADS": "1"}, timeout=240,
        capture_output=True, text=True, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def together(alone, folder):
    """What each of two ranks finds."""
    result = run(folder, "ddp")
    assert result.returncode == 0, result.stderr[-3000:]
    return [json.loads((folder / f"ddp{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.parametrize("name", ["mle", "accumulated", "keep", "drop", "decoder"])
def test_losses_and_weights_are_those_of_one_process(name, alone, together):
    one = alone["trainings"][name]
    for rank in together:
        two = rank["trainings"][name]
        assert two.pop("exchanges") == STEPS
        assert two.keys() == one.keys() - {"exchanges"}
        for key, values in two.items():
            assert values == pytest.approx(one[key], abs=1e-5), key


def test_accumulated_gradients_are_those_of_one_batch(alone):
    one, two = (alone["trainings"][name]["weights"] for name in ("mle", "accumulated"))
    assert two == pytest.approx(one, abs=1e-5)


def test_rewards_clip_shares_and_kl_vary(alone):
    for name in ("train/reward", "train/kl", "train/clip_fraction"):
        assert len(set(alone["trainings"]["keep"][name])) > STEPS // 2


def test_validation_means_depend_on_neither_batches_nor_ranks(alone, together):
    one = alone["validations"]
    assert one["23 1"]["count"] == 23
    for found in (one, *(rank["validations"] for rank in together)):
        for case, means in found.items():
            wanted = one["1 4"] if case == "1 4" else one["23 1"]
            del means["count"]
            assert means == pytest.approx({k: wanted[k] for k in means}, abs=1e-5), case
