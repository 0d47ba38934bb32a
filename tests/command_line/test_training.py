"""What ``fit`` adds to a config: folder, name, logger, checkpoints and the rest."""

import logging
import shutil

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlvr_world.cli import main

CONFIG = """
data: line_world.Numbers
model: {class_path: line_world.Line, init_args: {}}
trainer:
  max_epochs: 2
  accelerator: cpu
  log_every_n_steps: 1
  enable_progress_bar: false
  enable_model_summary: false
"""


@pytest.fixture
def preset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("world_model", "rlvr"):
        path = tmp_path / "configs/mine" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CONFIG)
    return tmp_path


def fit(name, *options):
    main(["fit", "-c", f"configs/mine/{name}.yaml", *options])


def test_a_run_needs_no_word_about_logs_and_checkpoints(preset):
    fit("world_model")
    run = preset / "checkpoints/mine/world_model"
    assert {p.name for p in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    events = EventAccumulator(str(run))
    events.Reload()
    expected = {"train/gradient_norm", "time/batches_per_second", "val/loss"}
    assert expected <= set(events.Tags()["scalars"])
    assert "hp_metric" not in events.Tags()["scalars"]
    timer = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["callbacks"]["Timer"]
    assert timer["time_elapsed"]["train"] > 0
    assert yaml.safe_load((run / "config.yaml").read_text())["seed_everything"] == 0


def test_stages_are_named_without_paths_and_a_copied_preset_reads_its_own(preset):
    with pytest.raises(FileNotFoundError, match="run the stage world_model of checkpoints/mine"):
        fit("rlvr", "--model.weights", "world_model")
    fit("world_model")
    fit("rlvr", "--model.weights", "world_model", "--checkpoint.monitor", "val/loss",
        "--checkpoint.mode", "max")  # fmt: skip
    saved = yaml.safe_load((preset / "checkpoints/mine/rlvr/config.yaml").read_text())
    weights = "checkpoints/mine/world_model/checkpoints/last.ckpt"
    assert saved["model"]["init_args"]["weights"] == weights
    assert (saved["folder"], saved["run"]) == ("checkpoints/mine", "rlvr")
    shutil.copytree("configs/mine", "configs/other")
    with pytest.raises(FileNotFoundError, match="checkpoints/other/world_model"):
        main(["fit", "-c", "configs/other/rlvr.yaml", "--model.weights", "world_model"])
    main(["test", "-c", "configs/mine/rlvr.yaml", "--ckpt_path", "rlvr:best",
          "--model.weights", "not_needed"])  # fmt: skip
    fit("rlvr", "--ckpt_path", "rlvr", "--trainer.max_epochs", "3", "--run", "longer")
    longer = torch.load("checkpoints/mine/longer/checkpoints/last.ckpt", weights_only=True)
    assert longer["global_step"] == 12


def test_other_loggers_leave_checkpoints_and_config_where_they_are(preset):
    fit("rlvr", "--trainer.logger", "CSVLogger", "--trainer.logger.save_dir", "csv",
        "--folder", "elsewhere", "--run", "mine")  # fmt: skip
    assert (preset / "elsewhere/mine/config.yaml").exists()
    assert (preset / "elsewhere/mine/checkpoints/best.ckpt").exists()
    assert list((preset / "csv").rglob("metrics.csv"))
    fit("rlvr", "--trainer.logger", "false", "--run", "silent")
    assert {p.name for p in (preset / "checkpoints/mine/silent").iterdir()} == {
        ".lock",
        "config.yaml",
        "checkpoints",
    }


def test_configs_of_the_command_line_win_over_the_checkpoint(preset):
    fit("world_model", "--model.log_loss", "true")
    fit("world_model", "--ckpt_path", "world_model", "--model.log_loss", "false", "--run", "on",
        "--trainer.max_epochs", "3")  # fmt: skip
    saved = yaml.safe_load((preset / "checkpoints/mine/on/config.yaml").read_text())
    assert saved["model"]["init_args"]["log_loss"] is False


def test_no_tips_of_other_products(preset, caplog):
    caplog.set_level(logging.INFO)
    fit("rlvr")
    assert "Tip:" not in caplog.text
