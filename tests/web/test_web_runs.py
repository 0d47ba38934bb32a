"""The stages on web pages as a user runs them, two batches each, on a toy page."""

import json
import shutil
import warnings

import pytest
import torch
from page_steps import tick, write_pages
from stages import ROOT

from rlvr_world.cli import main

ACTIONS = ("click [1]", "click [3]", "hover [2]")
SMALL = ("--model.codec.answer_length", "8",
         "--model.codec.prompt_length", "200", "--data.root", "data/boxes",
         "--data.batch_size", "4", "--data.eval_batch_size", "6",
         "--folder", "runs")  # fmt: skip


def fit(stage: str, *options: str) -> None:
    debug = ("-c", "configs/trainer/debug.yaml")
    main(["fit", "-c", f"configs/miniwob/{stage}.yaml", *debug, *SMALL, *options])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder in which MLE and RLVR ran on boxes."""
    folder = tmp_path_factory.mktemp("web_runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copytree(ROOT / "configs", folder / "configs")
        splits = {"train": range(10), "val": range(10, 13), "test_tasks": range(13, 16)}
        steps = {
            name: [tick(n, action, f"boxes {n % 2}") for n in on for action in ACTIONS]
            for name, on in splits.items()
        }
        write_pages(folder / "data/boxes", steps)
        main(["data", "bpe", "--data=rlvr_world.web.data.WebDataModule",
              "--data.root", "data/boxes", "--output", "runs/tokenizer",
              "--vocab_size", "400"])  # fmt: skip
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "a .* is cut to")
            fit("world_model")
            fit("rlvr", "--model.weights", "runs/mle/checkpoints/last.ckpt",
                "--model.group_size", "3", "--model.num_minibatches", "2")  # fmt: skip
    return folder


@pytest.mark.filterwarnings("ignore:a .* is cut to")
def test_the_table_compares_them_with_nothing_changes(runs, monkeypatch):
    monkeypatch.chdir(runs)
    models = {name: f"runs/{name}/checkpoints/last.ckpt" for name in ("mle", "rlvr")}
    main(["evaluate", "-c", "configs/miniwob/evaluation.yaml", "--data.root", "data/boxes",
          "--models", json.dumps(models), "--tune", "{}", "--output", "table"])  # fmt: skip
    table = json.loads((runs / "table/table.json").read_text())
    assert list(table["rows"]) == ["focus_moves", "focus_and_text", "copy_last", "mle", "rlvr"]
    baseline = {name: cell[0] for name, cell in table["rows"]["copy_last"].items()}
    expected = {"f1": 100 / 3, "exact": 100 / 3, "changed_f1": 0, "well_formed": 100}
    expected |= {"reward": 1 / 3, "macro_f1": 100 / 3}
    assert {name: baseline[name] for name in expected} == pytest.approx(expected)
    assert table["rows"]["mle"]["nll"][0] > 0
    assert table["samples"] == 9
    assert table["too_long"] == {"prompt": 0, "answer": 6}
    assert sorted(table["breakdown"]["samples"]) == ["boxes 0", "boxes 1"]


def test_checkpoints_hold_plain_data_and_name_the_codec(runs):
    checkpoint = torch.load(runs / "runs/rlvr/checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["codec"]["class"] == "WebPageCodec"
    assert checkpoint["provenance"]["parent"]["path"].endswith("mle/checkpoints/last.ckpt")


def test_tensorboard_shows_items_answers_and_reasons(runs):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(runs / "runs/rlvr"), size_guidance={"tensors": 0})
    events.Reload()
    names = ("f1", "precision", "recall", "exact")
    wanted = {f"{loop}/reward/{name}" for loop in ("train", "val") for name in names}
    assert wanted | {"val/share/no_answer"} <= set(events.Tags()["scalars"])
    (shown,) = events.Tensors("val/answers/text_summary")[:1]
    assert "New items:" in shown.tensor_proto.string_val[0].decode()
