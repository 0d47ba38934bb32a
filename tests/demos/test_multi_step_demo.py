"""The command lines of the multi-step demo, and which stages it keeps."""

import json
from itertools import pairwise

import pytest
import torch

from rlvr_world.demos.multi_step import REPLAYED, MultiStepDemo

STAGES = ["state_probe", "tokenizer", "mle", "rlvr", "rlvr_repetition", "mle_equal_time"]


def options(call):
    return dict(pairwise(call))


class Recorder:
    """Stands for the command line: notes each call, and leaves the checkpoint of a stage."""

    def __init__(self, folder):
        self.folder, self.calls = folder, []

    def __call__(self, call):
        self.calls.append(list(call))
        if call[0] == "fit":
            name = options(call)["--trainer.logger.name"]
            path = self.folder / name / "checkpoints/last.ckpt"
            path.parent.mkdir(parents=True, exist_ok=True)
            timer = {"Timer": {"time_elapsed": {"train": 60.0 if name == "rlvr" else 30.0}}}
            saved = {"callbacks": timer, "global_step": 100, "call": len(self.calls)}
            torch.save(saved, path)

    def fits(self):
        return [options(c)["--trainer.logger.name"] for c in self.calls if c[0] == "fit"]


@pytest.fixture(params=["metaworld_demo", "pusht_multi_step"])
def demo(request, tmp_path):
    preset = request.param
    stages = {"state_probe", "tokenizer", "world_model", "rlvr"}
    files = [f"{stage}/{preset}" for stage in stages] + [f"rlvr/{preset}_repetition"]
    for name in files:
        if name != "state_probe/pusht_multi_step":
            (tmp_path / "configs" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "configs" / f"{name}.yaml").write_text("a: 1")
    command = Recorder(tmp_path / "run")
    return MultiStepDemo(
        preset.split("_")[0], {"train": 3}, command=command, preset=preset,
        folder=tmp_path / "run", data=tmp_path / "data", configs=tmp_path / "configs",
    )  # fmt: skip


def test_every_stage_runs_once_and_gives_its_result_to_the_next(demo):
    demo.run_all()
    calls, probe = demo.command.calls, demo.source == "metaworld"
    assert calls[0] == ["data", demo.source, "--root", str(demo.data), "--episodes.train=3"]
    assert demo.command.fits() == STAGES[not probe :]
    by_name = {options(c)["--trainer.logger.name"]: options(c) for c in calls if c[0] == "fit"}
    for name in ("rlvr", "rlvr_repetition", "mle_equal_time"):
        assert by_name[name]["--model.weights"] == str(demo.checkpoint("mle"))
        assert by_name[name]["--model.codec.tokenizer"] == str(demo.checkpoint("tokenizer"))
    assert by_name["rlvr"]["--data.root"] == str(demo.data)
    assert by_name["mle"]["--data.root"] == f"{demo.data}_tokens"
    assert by_name["mle_equal_time"]["--trainer.max_steps"] == "200"
    assert by_name["mle_equal_time"]["--trainer.limit_train_batches"] == "50"
    table, *replayed = [options(call) for call in calls if call[0] == "evaluate"]
    assert list(json.loads(table["--models"])) == [
        "mle", "mle_rejection", "mle_likeliest", "mle_equal_time", "rlvr", "rlvr_repetition",
    ]  # fmt: skip
    assert ("--scene.probe" in table) == probe
    assert tuple(each["--data.test_split"] for each in replayed) == REPLAYED
    assert {each["--data.root"] for each in replayed} == {f"{demo.data}_counterfactual"}
    assert len({each["--output"] for each in (table, *replayed)}) == 4


def test_what_follows_a_changed_stage_is_trained_again(demo):
    demo.run_all()
    first = len(demo.command.fits())
    demo.run_all()
    assert len(demo.command.fits()) == first
    (demo.configs / f"world_model/{demo.preset}.yaml").write_text("a: 2")
    demo.run_all()
    assert demo.command.fits()[first:] == ["mle", "rlvr", "rlvr_repetition", "mle_equal_time"]
    (demo.folder / "rlvr_repetition/finished.json").unlink()
    demo.run_all()
    last = options(next(c for c in reversed(demo.command.calls) if c[0] == "fit"))
    assert last["--trainer.logger.name"] == "rlvr_repetition"
    assert last["--ckpt_path"] == str(demo.checkpoint("rlvr_repetition"))
