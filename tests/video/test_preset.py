"""From data in each format that users of robots hold to a trained model, by commands only."""

from pathlib import Path

import numpy as np
import pytest
import robot_data
import torch
import yaml
from jsonargparse import ArgumentParser
from lightning import LightningDataModule

from rlvr_world import cli
from rlvr_world.cli import main
from rlvr_world.command_line.training import TrainingCLI
from rlvr_world.data.samples import write_shard
from rlvr_world.evaluation.evaluate import evaluate
from rlvr_world.reward import Reward
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.preset import range_kind
from rlvr_world.video.tokenizer.vq_model import VQModel

STAGES = ("tokenizer", "world_model", "rlvr")
PARTS = {"data": LightningDataModule, "stills": LightningDataModule, "tokens": LightningDataModule,
         "rewards": dict[str, Reward], "metrics": dict[str, Reward]}  # fmt: skip
WRITERS = {
    "lerobot": robot_data.write_lerobot_v3,
    "hdf5": lambda path, recorded: robot_data.write_hdf5(path / "demo.hdf5", recorded),
    "zarr": robot_data.write_zarr,
    "videos": robot_data.write_videos,
}


def write_data(root, size=(64, 64), splits=("train", "val", "test"), length=5):
    """Shards of random frames."""
    rng = np.random.default_rng(0)
    for split in splits:
        samples = [
            (f"{split}-{number}",
             {"frames.png": rng.integers(256, size=(length, *size, 3)).astype(np.uint8),
              "actions.npy": rng.random((length, 3)).astype(np.float32), "json": {}})
            for number in range(2)
        ]  # fmt: skip
        write_shard(Path(root, f"{split}-000000.tar"), samples)
    Manifest.build(root, "mine", {}).save(root)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("size", "tokens"), [((64, 64), 64), ((128, 192), 96), ((96, 128), 192)])
def test_every_file_that_is_written_instantiates(here, size, tokens):
    write_data("data/mine", size)
    main(["init", "mine"])
    folder = here / "configs/mine"
    cli.import_rooms()
    tokenizer = yaml.safe_load((folder / "tokenizer.yaml").read_text())["model"]["init_args"]
    VQModel(**tokenizer["model"]["init_args"]).export(here / "tokenizer")
    for stage in STAGES:
        own = ["--model.codec.tokenizer", "tokenizer"] * (stage != "tokenizer")
        own += ["--model.weights", "null"] * (stage == "rlvr")
        config = ["-c", str(folder / f"{stage}.yaml"), "--trainer.logger", "false"]
        run = TrainingCLI([*config, *own], run=False)
        if stage != "tokenizer":
            assert run.model.codec.tokens_per_frame == tokens
    for stem, kind in PARTS.items():
        parser = ArgumentParser()
        parser.add_argument("--part", type=kind)
        contents = yaml.safe_load((folder / f"{stem}.yaml").read_text())
        assert parser.instantiate(parser.parse_object({"part": contents})).part
    parser = ArgumentParser()
    parser.add_argument("-c", action="config")
    parser.add_function_arguments(evaluate, as_group=False, sub_configs=True)
    settings = parser.parse_args(["-c", str(folder / "evaluation.yaml"), "--output", "x"])
    assert settings.scene is None


def test_what_cannot_become_a_preset_is_one_sentence(here):
    with pytest.raises(FileNotFoundError, match="data/mine"):
        main(["init", "mine"])
    with pytest.raises(ValueError, match="is no name of a preset"):
        main(["init", "../mine"])
    write_data("data/odd", (30, 44))
    with pytest.raises(ValueError, match=r"30 x 44.*--image_size '\[32, 48\]'"):
        main(["init", "mine", "--from", "data/odd"])
    write_data("data/short", length=2)
    with pytest.raises(ValueError, match="episodes of 2 frames are shorter than a clip of 3"):
        main(["init", "mine", "--from", "data/short"])
    write_data("data/train_only", splits=["train"])
    with pytest.raises(ValueError, match="has no val split"):
        main(["init", "mine", "--from", "data/train_only"])
    (here / "configs/mine").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="configs/mine is there already"):
        main(["init", "mine", "--from", "data/odd"])


def test_outliers_do_not_stretch_the_range_of_actions():
    even = {"min": [0.0, 5.0], "q01": [0.1, 5.0], "q99": [0.9, 5.0], "max": [1.0, 5.0]}
    assert range_kind(even) == "extremes"
    assert range_kind(even | {"max": [9.0, 5.0]}) == "quantile"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return robot_data.record(tmp_path_factory.mktemp("recorded") / "pusht")


@pytest.mark.parametrize(
    "kind", [pytest.param(n, marks=[pytest.mark.slow] * (n != "lerobot")) for n in WRITERS]
)
def test_from_data_to_a_model_of_rlvr_by_commands(here, recorded, kind):
    WRITERS[kind](here / "theirs", recorded)
    camera = ["--cameras=[agentview_image]"] * (kind == "hdf5")
    shares = ["--val_share", "0.2", "--test_share", "0.2", "--processes", "1"]
    main(["data", kind, "theirs", "--root", "data/mine", *shares, *camera])
    main(["init", "mine", "--from", "data/mine"])
    tiny = ["--trainer.max_steps", "2", "--trainer.limit_val_batches", "1",
            "--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu",
            "--trainer.precision", "32-true", "--data.batch_size", "2",
            "--data.eval_batch_size", "2"]  # fmt: skip
    main(["fit", "-c", "configs/mine/tokenizer.yaml", *tiny])
    main(["data", "tokens", "--tokenizer", "tokenizer", "--source", "data/mine",
          "--root", "data/mine_tokens", "--folder", "checkpoints/mine"])  # fmt: skip
    main(["fit", "-c", "configs/mine/world_model.yaml", *tiny])
    main(["fit", "-c", "configs/mine/rlvr.yaml", *tiny, "--model.group_size", "2"])
    last = torch.load("checkpoints/mine/rlvr/checkpoints/last.ckpt", weights_only=True)
    assert last["provenance"]["parent"]["path"] == "checkpoints/mine/mle/checkpoints/last.ckpt"
    assert last["global_step"] > 0
    main(["evaluate", "-c", "configs/mine/evaluation.yaml", "--tune", "null", "--seeds", "1",
          "--limit", "2", "--models", '{"mle": "mle", "rlvr": "rlvr"}'])  # fmt: skip
    assert Path("checkpoints/mine/evaluation/table.json").is_file()
