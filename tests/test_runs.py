"""Where runs lie, and what the bare names of stages stand for."""

from argparse import Namespace
from pathlib import Path

import pytest

from rlvr_world.runs import (
    CONFIGS,
    artefact,
    config_files,
    config_path,
    folder_of,
    run_of,
    with_artefacts,
    with_packaged_configs,
)


def write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize(
    ("config", "folder", "run"),
    [
        ("configs/mine/rlvr.yaml", "checkpoints/mine", "rlvr"),
        ("/else/where/configs/pusht/multi_step/rlvr.yaml", "checkpoints/pusht/multi_step", "rlvr"),
        ("configs/single.yaml", "checkpoints", "single"),
        ("/tmp/lamps/lamps.yaml", "checkpoints/lamps", "lamps"),
        (CONFIGS / "pusht/world_model.yaml", "checkpoints/pusht", "world_model"),
        (None, "checkpoints", "run"),
    ],
)
def test_runs_are_named_like_their_config(config, folder, run):
    config = config and Path(config)
    assert (folder_of(config), run_of(config)) == (Path(folder), run)


def test_configs_are_read_off_the_arguments_in_their_order():
    args = ["--x", "1", "-c", "a.yaml", "--config=b.yaml", "--config", "c.yaml", "-c"]
    assert config_files(args[:-1]) == [Path("a.yaml"), Path("b.yaml"), Path("c.yaml")]


def test_a_config_of_the_users_beats_the_packaged_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "configs/trainer/debug.yaml"
    packaged = CONFIGS / "trainer/debug.yaml"
    assert packaged.is_file()
    assert config_path(name) == packaged
    assert with_packaged_configs(["-c", name, f"--overlay={name}", "configs/none.yaml"]) == [
        "-c", str(packaged), f"--overlay={packaged}", "configs/none.yaml",
    ]  # fmt: skip
    write(tmp_path / name)
    assert config_path(name) == Path(name)


def test_a_stage_is_its_last_or_best_checkpoint_or_a_language_tokenizer(tmp_path):
    assert artefact(tmp_path, "rlvr") == tmp_path / "rlvr/checkpoints/last.ckpt"
    assert artefact(tmp_path, "rlvr:best") == tmp_path / "rlvr/checkpoints/best.ckpt"
    write(tmp_path / "tokenizer/tokenizer.json")
    write(tmp_path / "source/config.json")
    assert artefact(tmp_path, "tokenizer") == tmp_path / "tokenizer"
    assert artefact(tmp_path, "source") == tmp_path / "source"


def test_bare_names_become_paths_wherever_they_stand(tmp_path):
    last = write(tmp_path / "world_model/checkpoints/last.ckpt")
    best = write(tmp_path / "rlvr/checkpoints/best.ckpt")
    settings = Namespace(
        weights=Path("world_model"),
        ckpt_path="world_model",
        models={"mle": "world_model", "rlvr": "rlvr:best", "other": "a/b.ckpt"},
        codec=Namespace(init_args={"tokenizer": "world_model", "style": "compact"}),
        backbone=Namespace(init_args=Namespace(source="world_model")),
        source="shop",
        callbacks=[{"probe": "world_model"}],
        run="world_model",
    )
    resolved = with_artefacts(settings, tmp_path)
    assert resolved == Namespace(
        weights=last,
        ckpt_path=str(last),
        models={"mle": str(last), "rlvr": str(best), "other": "a/b.ckpt"},
        codec=Namespace(init_args={"tokenizer": str(last), "style": "compact"}),
        backbone=Namespace(init_args=Namespace(source=str(last))),
        source="shop",
        callbacks=[{"probe": str(last)}],
        run="world_model",
    )
    assert settings.weights == Path("world_model")


def test_paths_hubs_and_lightnings_words_stay(tmp_path):
    settings = {
        "weights": "checkpoints/a", "tokenizer": "Qwen/Qwen2", "probe": "./probe",
        "reference": "other.ckpt", "ckpt_path": "last",
    }  # fmt: skip
    assert with_artefacts(settings, tmp_path) == settings
    assert with_artefacts({"tokenizer": None, "weights": ""}, tmp_path)["tokenizer"] is None


def test_a_missing_stage_is_named_unless_it_is_not_read(tmp_path):
    settings = {"model": {"weights": "world_model"}}
    with pytest.raises(FileNotFoundError, match=r"model\.weights: .*run the stage world_model of"):
        with_artefacts(settings, tmp_path)
    resolved = with_artefacts(settings, tmp_path, unread=["weights"])
    assert resolved["model"]["weights"] == str(tmp_path / "world_model/checkpoints/last.ckpt")


def test_a_run_without_a_validation_has_no_best_checkpoint(tmp_path):
    write(tmp_path / "rlvr/checkpoints/last.ckpt")
    with pytest.raises(FileNotFoundError, match=r"best\.ckpt .*rlvr ended before its first valid"):
        with_artefacts({"models": {"rlvr": "rlvr:best"}}, tmp_path)


def test_a_run_knows_its_folder_by_where_its_config_lies(tmp_path, monkeypatch):
    run = tmp_path / "moved" / "mle"
    (run / "checkpoints").mkdir(parents=True)
    config = run / "config.yaml"
    assert folder_of(config) == Path("checkpoints/mle")  # a config beside a folder without any run
    (run / "checkpoints" / "last.ckpt").touch()
    assert (folder_of(config), run_of(config)) == (tmp_path / "moved", "mle")
    monkeypatch.chdir(run)
    assert (folder_of(Path("config.yaml")), run_of(Path("config.yaml"))) == (run.parent, "mle")
