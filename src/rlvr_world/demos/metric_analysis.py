"""Does RLVR with a metric as its reward raise that metric, and which others (Figure 4c)?"""

import json
from pathlib import Path
from typing import Any

import yaml

from rlvr_world.demos.analysis import Analysis

METRICS = {
    "mae": "rlvr_world.video.rewards.frames.MAE",
    "mse": "rlvr_world.video.rewards.frames.MSE",
    "psnr": "rlvr_world.video.rewards.frames.PSNR",
    "ssim": "rlvr_world.video.rewards.frames.SSIM",
    "lpips": "rlvr_world.video.rewards.frames.LPIPS",
}
"""The classes of the metrics, by their names in tables."""

Settings = dict[str, Any]


class MetricAnalysis(Analysis):
    """Train with each of MAE, MSE, PSNR, SSIM and LPIPS as the reward, and score with all of them.

    Each run starts from the same MLE checkpoint; its best checkpoint on validation by its own
    reward counts. Writes table.json and table.csv, and, relative to MLE, gains.json, gains.csv and
    gains.png. Runs that have finished are kept, an interrupted one goes on.

    Args:
        mle: Checkpoint of the MLE stage.
        data: Folder of the shards.
        **analysis: See ``Analysis``.
    """

    def __init__(self, mle: Path, data: Path, **analysis: Any) -> None:
        super().__init__(**analysis)
        self.mle, self.data = mle, data

    def run_all(self) -> None:
        config = yaml.safe_load(self.rlvr.read_text())
        metrics = metric_settings(config["model"]["init_args"]["rewards"])
        models = {"mle": self.mle}
        for name in metrics:
            rewards = ("--model.rewards", json.dumps({name: metrics[name]}))
            callbacks = ("--trainer.callbacks", json.dumps(monitors(config, metrics, name)))
            models[name] = self.reinforce(name, self.data, self.mle, *rewards, *callbacks)
        self.compare(self.data, self.folder, models, "--metrics", json.dumps(metrics))
        self.plot_gains({"": self.folder}, "mle", list(metrics))


def metric_settings(rewards: dict[str, Settings]) -> dict[str, Settings]:
    """Each metric as a term of weight 1, with the other settings of the term that a run has."""
    found = {each["class_path"]: each.get("init_args", {}) for each in rewards.values()}
    return {
        name: {"class_path": path, "init_args": {**found.get(path, {}), "weight": 1.0}}
        for name, path in METRICS.items()
    }


def monitors(config: Settings, metrics: dict[str, Settings], reward: str) -> list[Settings]:
    """The callbacks of a run, which watch every metric but choose by ``reward`` alone."""
    watched = {
        name: each | {"init_args": each["init_args"] | {"weight": float(name == reward)}}
        for name, each in metrics.items()
    }
    return [
        callback | {"init_args": callback["init_args"] | {"rewards": watched}}
        if callback["class_path"].endswith(".RewardMonitor")
        else callback
        for callback in config["trainer"]["callbacks"]
    ]
