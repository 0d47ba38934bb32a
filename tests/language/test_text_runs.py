"""The stages on text games as a user runs them, two batches each, on a toy game."""

import json
import shutil
import warnings
from typing import get_args

import pytest
import torch
from games import step, write_root
from stages import ROOT
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlvr_world.cli import main
from rlvr_world.language.judge import Reason

ACTIONS = ("switch 1", "switch 7", "wait")
SMALL = ("--model.codec.answer_length", "8", "--model.codec.prompt_length", "400",
         "--data.root", "data/lamps", "--data.batch_size", "4", "--data.eval_batch_size", "6",
         "--folder", "runs")  # fmt: skip


def fit(stage: str, *options: str) -> None:
    debug = ("-c", "configs/trainer/debug.yaml")
    main(["fit", "-c", f"configs/textworld/{stage}.yaml", *debug, *SMALL, *options])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder in which MLE and RLVR ran on lamps."""
    folder = tmp_path_factory.mktemp("text_runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copytree(ROOT / "configs", folder / "configs")
        splits = {"train": range(30), "val": range(30, 34), "test": range(34, 38)}
        steps = {name: [step(n, a) for n in on for a in ACTIONS] for name, on in splits.items()}
        for some in steps.values():
            some.append(step(1, "wait" + " and wait" * 400))
        write_root(folder / "data/lamps", steps)
        main(["data", "bpe", "--data=rlvr_world.text_game.data.TextDataModule",
              "--data.root", "data/lamps", "--output", "runs/tokenizer",
              "--vocab_size", "400"])  # fmt: skip
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "an answer of .* is cut to|.*left out")
            fit("world_model")
            fit("rlvr", "-c", "configs/textworld/task_specific.yaml", "--model.group_size", "3",
                "--model.num_minibatches", "2")  # fmt: skip
    return folder


@pytest.mark.filterwarnings("ignore:(an answer of .* is cut to|.*left out)")
def test_the_table_compares_them_with_nothing_changes(runs, monkeypatch):
    monkeypatch.chdir(runs)
    stages = {"mle": "mle", "rlvr": "rlvr_task_specific"}
    models = {name: f"runs/{stage}/checkpoints/last.ckpt" for name, stage in stages.items()}
    chosen = {"class_path": "MinimumBayesRisk", "init_args": {"samples": 2}}
    main(["evaluate", "-c", "configs/textworld/evaluation.yaml", "--data.root", "data/lamps",
          "--samplers", json.dumps({"rlvr": chosen}), "--models", json.dumps(models),
          "--tune", "{}", "--output", "table"])  # fmt: skip
    table = json.loads((runs / "table/table.json").read_text())
    assert list(table["rows"]) == ["verb_rule", "copy_last", "mle", "rlvr"]
    assert table["samplers"]["rlvr"]["mbr"] == 2
    baseline = {name: cell[0] for name, cell in table["rows"]["copy_last"].items()}
    assert baseline["unchanged"] == 100
    assert baseline["changed"] == 0
    assert baseline["overall"] == pytest.approx(100 / 3)
    assert baseline["valid_json"] == 100
    assert table["rows"]["mle"]["nll"][0] > 0
    assert table["samples"] == 12
    assert baseline["macro"] == pytest.approx(100 / 3)
    assert table["too_long"]["prompt"] == 1
    assert 0 < table["too_long"]["answer"] <= 12
    assert table["breakdown"]["samples"] == {"lamps": 12}
    lines = (runs / "table/by_game.csv").read_text().splitlines()
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["lamps", "12", row] for row in ("verb_rule", "copy_last", "mle", "rlvr")
    ]


@pytest.mark.filterwarnings("ignore:(an answer of .* is cut to|.*left out)")
def test_the_best_of_several_answers(runs, monkeypatch):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    monkeypatch.chdir(runs)
    models = {"mle": "runs/mle/checkpoints/last.ckpt"}
    main(["best-of", "-c", "configs/textworld/best_of.yaml", "--data.root", "data/lamps",
          "--models", json.dumps(models), "--draws.sizes", "[1, 4]", "--draws.samples", "4",
          "--draws.limit", "5", "--output", "best_of"])  # fmt: skip
    table = json.loads((runs / "best_of/best_of.json").read_text())
    assert table["examples"] == 5
    columns = {"task_specific", "reward", "overall", "valid_json"}
    assert columns <= set(table["rows"]["mle"])
    for one, four in table["rows"]["mle"].values():
        assert four >= one
    assert (runs / "best_of/best_of.png").stat().st_size > 1000


@pytest.mark.filterwarnings("ignore:.*left out")
def test_answers_are_written(runs, monkeypatch):
    monkeypatch.chdir(runs)
    main(["predict", "-c", "configs/textworld/world_model.yaml", *SMALL,
          "--trainer.accelerator", "cpu"])  # fmt: skip
    lines = (runs / "runs/mle/predictions/predictions.jsonl").read_text().splitlines()
    answers = [json.loads(line) for line in lines]
    assert len({answer["key"] for answer in answers}) == 12
    assert all(isinstance(answer["prediction"], str) for answer in answers)


def test_checkpoints_hold_plain_data_and_name_the_codec(runs):
    path = runs / "runs/rlvr_task_specific/checkpoints/last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["codec"]["class"] == "TextGameCodec"
    assert checkpoint["provenance"]["parent"]["path"].endswith("mle/checkpoints/last.ckpt")


def events(folder):
    found = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    return found.Reload()


def check_table(event, rows):
    text = event.tensor_proto.string_val[0].decode()
    assert len(text.splitlines()) == rows + 2
    assert "| state | action | truth | answer | reward | reason |" in text
    assert "&#124;" not in text.splitlines()[0]


def test_tensorboard_shows_answers_and_reasons(runs):
    found = events(runs / "runs/mle")
    assert "val/share/not_JSON" in found.Tags()["scalars"]
    assert not any(tag.startswith("train/share") for tag in found.Tags()["scalars"])
    assert found.Scalars("val/too_long/prompt")[0].value == 0
    check_table(found.Tensors("val/answers/text_summary")[0], 6)


def test_tensorboard_shows_the_rewards_answers_and_reasons_of_rollouts(runs):
    found = events(runs / "runs/rlvr_task_specific")
    shares = [tag for tag in found.Tags()["scalars"] if tag.startswith("train/share/")]
    assert len(shares) == len(get_args(Reason))
    for values in zip(*(found.Scalars(tag) for tag in shares), strict=True):
        assert sum(event.value for event in values) == pytest.approx(1)
    assert {"train/reward", "train/reward/match", "val/reward"} <= set(found.Tags()["scalars"])
    (shown,) = found.Tensors("train/answers/text_summary")  # of the first of two steps
    assert shown.step == 1
    check_table(shown, 8)
