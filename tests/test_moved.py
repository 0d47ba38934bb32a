"""A folder of runs that is moved and opened from elsewhere gives the same numbers."""

import json
import shutil

import pytest
import torch
from games import step, write_root
from stages import checkpoint
from tiny_video import export_tokenizer, save_untrained

from rlvr_world.cli import main
from rlvr_world.modules.saved import load_world_model

QUIET = ("--trainer.enable_progress_bar", "false")


@pytest.fixture
def moved(workplace, tmp_path, monkeypatch):
    """The world models of ``pipeline`` in another folder, without the tokenizer, and shards."""
    folder = tmp_path / "elsewhere" / "runs"
    for run in ("mle", "rlvr"):
        shutil.copytree(checkpoint(run).parents[1], folder / run)
    (tmp_path / "data").symlink_to(workplace / "data")
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_world_model_predicts_alike(workplace, moved):
    batch = {
        "frames": torch.randint(256, (2, 3, 3, 64, 64), dtype=torch.uint8),
        "actions": torch.full((2, 3, 2), 200.0),
        "key": ["a", "b"],
    }
    here = load_world_model(workplace / checkpoint("rlvr"))
    there = load_world_model(moved / "rlvr" / "checkpoints" / "last.ckpt")
    predictions = [
        model.predict(batch, generator=torch.Generator().manual_seed(0)) for model in (here, there)
    ]
    assert torch.equal(*predictions)


def test_one_checkpoint_alone_is_enough(moved, tmp_path):
    alone = tmp_path / "alone.ckpt"
    shutil.copy(moved / "mle" / "checkpoints" / "last.ckpt", alone)
    shutil.rmtree(moved)
    model = load_world_model(alone)
    assert model.codec.fingerprint == torch.load(alone, weights_only=True)["codec"]["fingerprint"]
    main(["export", "--checkpoint", str(alone), "--output", str(tmp_path / "exported")])
    assert load_world_model(tmp_path / "exported").codec.fingerprint == model.codec.fingerprint


def test_one_checkpoint_alone_is_exported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    export_tokenizer(tmp_path / "tokenizer")
    save_untrained(tmp_path / "alone.ckpt", tmp_path / "tokenizer")
    shutil.rmtree("tokenizer")
    main(["export", "--checkpoint", "alone.ckpt", "--output", "exported"])
    assert (tmp_path / "exported" / "model.safetensors").exists()


def test_the_table_is_the_same(workplace, moved, tmp_path, monkeypatch):
    tables = []
    for place, runs in ((workplace, checkpoint("mle").parents[2]), (tmp_path, moved)):
        monkeypatch.chdir(place)
        models = {name: str(runs / name / "checkpoints/last.ckpt") for name in ("mle", "rlvr")}
        options = ("--models", json.dumps(models), "--seeds", "1", "--tune", "{}")
        main(["evaluate", "-c", "configs/pusht/evaluation.yaml", *options, "--output", "moved"])
        tables.append(json.loads((place / "moved" / "table.json").read_text()))
    assert tables[0]["rows"] == tables[1]["rows"]


@pytest.mark.parametrize("named", ["path", "last"])
def test_a_run_goes_on_by_its_own_config(moved, named):
    run = moved / "mle"
    before = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"]
    last = ("--ckpt_path", str(run / "checkpoints/last.ckpt") if named == "path" else named)
    main(["fit", "-c", str(run / "config.yaml"), *last, "--trainer.max_steps", "6", *QUIET])
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 6 > before


def test_a_run_is_validated_by_its_own_config(moved):
    main(["validate", "-c", str(moved / "mle" / "config.yaml"), *QUIET])


def test_what_is_asked_of_a_moved_run_counts(moved):
    run = moved / "mle"
    last = ("--ckpt_path", str(run / "checkpoints/last.ckpt"))
    asked = ("--run=longer", "--trainer.max_steps", "5")
    main(["fit", "-c", str(run / "config.yaml"), *last, *asked, *QUIET])
    longer = moved / "longer" / "checkpoints" / "last.ckpt"
    assert torch.load(longer, weights_only=True)["global_step"] == 5


def test_rlvr_goes_on_with_the_reference_beside_it(moved):
    run = moved / "rlvr"
    last = ("--ckpt_path", str(run / "checkpoints/last.ckpt"))
    main(["fit", "-c", str(run / "config.yaml"), *last, "--trainer.max_steps", "8", *QUIET])
    settings = (run / "config.yaml").read_text()
    assert str(moved / "mle") in settings
    assert torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 8


def test_a_language_tokenizer_is_in_the_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steps = [step(number, action) for number in range(8) for action in ("switch 1", "wait")]
    write_root(tmp_path / "data", {"train": steps, "val": steps[:4]})
    data = ("--data", "TextDataModule", "--data.root", "data", "--data.batch_size", "4")
    main(["data", "bpe", *data[:4], "--output", "words", "--vocab_size", "300"])
    codec = ("--model.codec", "TextGameCodec", "--model.codec.tokenizer", "words/")
    backbone = ("--model.backbone", "Transformer", "--model.backbone.dim", "16")
    sizes = ("--model.backbone.depth", "1", "--model.backbone.heads", "2")
    trainer = (
        "--trainer.max_steps",
        "1",
        "--trainer.accelerator",
        "cpu",
        "--trainer.logger",
        "false",
    )
    options = (*codec, *backbone, *sizes, *trainer, *QUIET, "--folder", "runs", "--run", "mle")
    main(["fit", "--model", "MLEWorldModel", *data, *options])
    path = next((tmp_path / "runs").rglob("last.ckpt"))
    shutil.rmtree(tmp_path / "words")
    codec = load_world_model(path).codec
    assert codec.tokenizer.decode(codec.tokenizer("switch 1")["input_ids"]) == "switch 1"
