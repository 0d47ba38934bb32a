"""Weights that FSDP2 splits among ranks learn as whole ones do, and are saved whole."""

import json
from pathlib import Path

import pytest
import torch
from sharded import CASES, run
from test_ranks import run as run_script
from tiny_runs import prepared
from transformers import AutoModelForCausalLM

from benchmarks.tiny_runs import options
from rlvr_world.cli import main
from rlvr_world.modules.checkpoint import load_checkpoint
from rlvr_world.nn.llama import from_llama

SCRIPT = Path(__file__).with_name("sharded.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sharded")


@pytest.fixture(scope="module")
def alone(folder):
    """What one process finds."""
    return run("mle", "tied", 1, folder, "auto")


@pytest.fixture(scope="module")
def together(alone, folder):
    """What each of two ranks finds."""
    result = run_script(folder, script=SCRIPT)
    assert result.returncode == 0, result.stderr[-3000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def check_equal(found, wanted):
    for part in ("logged", "weights"):
        assert found[part].keys() == wanted[part].keys()
        for key, values in found[part].items():
            assert values == pytest.approx(wanted[part][key][-len(values) :], abs=1e-5), key
    assert found["val/nll"] == pytest.approx(wanted["val/nll"], abs=1e-5)


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_split_weights_learn_as_whole_ones_do(case, together):
    for rank in together:
        found = rank[" ".join(case)]
        check_equal(found["split"], found["whole"])
        assert found["split"]["held"] < 0.6 * found["whole"]["held"]


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_a_run_of_whole_weights_goes_on_with_split_ones(case, together):
    for rank in together:
        found = rank[" ".join(case)]
        check_equal(found["resumed"], found["whole"])


def test_a_run_of_split_weights_goes_on_in_one_process(folder, together, alone):
    check_equal(run("mle", "tied", 1, folder, "auto", folder / "mle_tied_fsdp22.ckpt"), alone)


@pytest.mark.slow
def test_the_command_line_trains_and_exports(tmp_path):
    folder = prepared(tmp_path)
    given = [
        "--model.codec.tokenizer",
        folder / "tokenizer",
        "--model.weights",
        folder / "mle.ckpt",
    ]
    where = ["-c", "configs/trainer/fsdp2.yaml", "--trainer.accelerator", "cpu"]
    last = folder / "run/checkpoints/last.ckpt"
    for ranks, steps in ((2, 4), (1, 6)):
        more = ["--trainer.devices", str(ranks), "--trainer.max_steps", str(steps)]
        resume = ["--ckpt_path", last] if last.exists() else []
        result = run_script(*options("rlvr", folder, "run"), *given, *where, *more, *resume,
                            script="-mrlvr_world")  # fmt: skip
        assert result.returncode == 0, result.stderr[-3000:]
        assert load_checkpoint(last)["global_step"] == steps
    main(["export", "--checkpoint", str(last), "--output", str(folder / "exported")])
    exported = AutoModelForCausalLM.from_pretrained(folder / "exported")
    state = load_checkpoint(last)["state_dict"]
    ours = {name.removeprefix("backbone."): value for name, value in state.items()}
    for name, value in from_llama(exported).state_dict().items():
        assert torch.equal(value, ours[name]), name
