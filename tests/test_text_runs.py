"""The stages on text games as a user runs them, two batches each, on a toy game."""

import json
import shutil
import warnings

import pytest
import torch
from games import step, write_root
from stages import ROOT

from rlvr_world.cli import main

ACTIONS = ("switch 1", "switch 7", "wait")
SMALL = ("--model.codec.answer_length", "8", "--model.codec.prompt_length", "200",
         "--data.root", "data/lamps", "--data.batch_size", "4", "--data.eval_batch_size", "6",
         "--trainer.logger.save_dir", "runs")  # fmt: skip


def fit(config: str, *options: str) -> None:
    debug = ("-c", "configs/trainer/debug.yaml")
    main(["fit", "-c", f"configs/{config}.yaml", *debug, *SMALL, *options])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder in which MLE and RLVR ran on lamps."""
    folder = tmp_path_factory.mktemp("text_runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copytree(ROOT / "configs", folder / "configs")
        splits = {"train": range(30), "val": range(30, 34), "test": range(34, 38)}
        steps = {name: [step(n, a) for n in on for a in ACTIONS] for name, on in splits.items()}
        write_root(folder / "data/lamps", steps)
        main(
            ["data", "bpe", "--root", "data/lamps", "--output", "tokenizer", "--vocab_size", "400"]
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "a .* is cut to")
            fit("world_model/textworld_demo", "--model.codec.tokenizer", "tokenizer")
            fit("rlvr/textworld_demo_task_specific", "--model.codec.tokenizer", "tokenizer",
                "--model.weights", "runs/mle/checkpoints/last.ckpt", "--model.group_size", "3",
                "--model.num_minibatches", "2")  # fmt: skip
    return folder


@pytest.mark.filterwarnings("ignore:a .* is cut to")
def test_the_table_compares_them_with_nothing_changes(runs, monkeypatch):
    monkeypatch.chdir(runs)
    stages = {"mle": "mle", "rlvr": "rlvr_task_specific"}
    models = {name: f"runs/{stage}/checkpoints/last.ckpt" for name, stage in stages.items()}
    main(["evaluate", "-c", "configs/evaluation/textworld_demo.yaml", "--data.root", "data/lamps",
          "--models", json.dumps(models), "--tune", "{}", "--output", "table"])  # fmt: skip
    table = json.loads((runs / "table/table.json").read_text())
    assert list(table["rows"]) == ["copy_last", "mle", "rlvr"]
    baseline = {name: cell[0] for name, cell in table["rows"]["copy_last"].items()}
    assert baseline["unchanged"] == 100
    assert baseline["changed"] == 0
    assert baseline["overall"] == pytest.approx(100 / 3)
    assert baseline["valid_json"] == 100
    assert table["rows"]["mle"]["nll"][0] > 0
    assert table["samples"] == 12


def test_checkpoints_hold_plain_data_and_name_the_codec(runs):
    path = runs / "runs/rlvr_task_specific/checkpoints/last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["codec"]["class"] == "TextGameCodec"
    assert checkpoint["provenance"]["parent"]["path"].endswith("mle/checkpoints/last.ckpt")


def test_tensorboard_shows_answers_and_reasons(runs):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(runs / "runs/mle"), size_guidance={"tensors": 0})
    events.Reload()
    assert "val/share/not_JSON" in events.Tags()["scalars"]
    (shown,) = events.Tensors("val/answers/text_summary")[:1]
    text = shown.tensor_proto.string_val[0].decode()
    assert "| state | action | truth | answer | reward | reason |" in text
    assert "&#124;" not in text.splitlines()[0]
