"""RLVR runs that differ in one setting, and tables and pictures of what they gain."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlvr_world.demos.stages import Stages
from rlvr_world.modules.checkpoint import load_checkpoint

METRICS = {name.lower(): f"rlvr_world.video.rewards.frames.{name}"
           for name in ("MAE", "MSE", "PSNR", "SSIM", "LPIPS")}  # fmt: skip
"""The classes of the metrics, by their names in tables."""

Settings = dict[str, Any]


class Analysis(Stages):
    """RLVR runs by one config. Runs that have finished are kept, an interrupted one goes on.

    Args:
        rlvr: Config of the runs.
        evaluation: Config of the table.
        max_steps: Optimizer steps of each run; those of the config if not given.
        **stages: See ``Stages``.
    """

    def __init__(
        self, rlvr: Path, evaluation: Path, max_steps: int | None = None, **stages: Any
    ) -> None:
        super().__init__(**stages)
        self.rlvr, self.evaluation = rlvr, evaluation
        self.length = () if max_steps is None else ("--trainer.max_steps", str(max_steps))

    def reinforce(self, name: str, data: Path, mle: Path, *options: str) -> Path:
        """Run RLVR on a data set from a checkpoint; the run's best checkpoint."""
        start = ("--model.weights", str(mle), "--model.codec.tokenizer", tokenizer_of(mle))
        self.fit(name, [self.rlvr], "--data.root", str(data), *start, *self.length, *options)
        return self.checkpoint(name, "best")

    def compare(self, data: Path, output: Path, models: Mapping[str, Path], *options: str) -> None:
        """Score checkpoints, each with its own distribution, without the config's other rows."""
        rows = ("--models", json.dumps({name: str(path) for name, path in models.items()}))
        plain = ("--tune", "null", "--samplers", "null")
        self.evaluate(self.evaluation, data, output, *rows, *plain, *options)

    def plot_gains(
        self, tables: Mapping[str, Path], base: str, metrics: Sequence[str] = ()
    ) -> None:
        paths = json.dumps({name: str(folder / "table.json") for name, folder in tables.items()})
        chosen = ("--metrics", json.dumps(list(metrics))) if metrics else ()
        command = ("analyse", "gains", "--tables", paths, "--base", base, *chosen)
        self.run("Gains", "gains", *command, "--output", str(self.folder))


class Comparison(Analysis):
    """RLVR runs from one MLE checkpoint on one data set, and what they gain on it.

    Args:
        mle: Checkpoint of the MLE stage.
        data: Folder of the shards.
        **analysis: See ``Analysis``.
    """

    def __init__(self, mle: Path, data: Path, **analysis: Any) -> None:
        super().__init__(**analysis)
        self.mle, self.data = mle, data

    def run_variants(
        self, variants: Mapping[str, Sequence[str]], metrics: Mapping[str, Settings] | None = None
    ) -> None:
        """Train with the options of each variant, and compare by metrics or those of the config."""
        models = {"mle": self.mle}
        for name, options in variants.items():
            models[name] = self.reinforce(name, self.data, self.mle, *options)
        chosen = ("--metrics", json.dumps(metrics)) if metrics else ()
        self.compare(self.data, self.folder, models, *chosen)
        self.plot_gains({"": self.folder}, "mle", list(metrics or ()))


class GroupSizeAnalysis(Comparison):
    """Train with groups of several sizes from one MLE checkpoint, for as many RL steps.

    Writes the table of the test split (table.json, table.csv), the gains on MLE (gains.json,
    gains.csv, gains.png) and the curves of validation rewards (curves.json, curves.csv,
    curves.png).

    Args:
        sizes: Numbers of predictions for each prompt.
        **comparison: See ``Comparison``.
    """

    def __init__(self, sizes: Sequence[int] = (4, 8, 16, 32), **comparison: Any) -> None:
        super().__init__(**comparison)
        if not sizes or min(sizes) < 2:
            raise ValueError(f"sizes must be at least 2 to compare members, got {list(sizes)}")
        self.sizes = sizes

    def run_all(self) -> None:
        groups = {f"group_{size}": ("--model.group_size", str(size)) for size in self.sizes}
        self.run_variants(groups)
        folders = json.dumps({name: str(self.folder / name) for name in groups})
        curves = ("analyse", "curves", "--runs", folders, "--axes", '["batches", "seconds"]')
        self.run("Curves", "curves", *curves, "--output", str(self.folder))


class MetricAnalysis(Comparison):
    """Train with each of MAE, MSE, PSNR, SSIM and LPIPS as the reward, and score with all of them.

    The best checkpoint of a run is chosen by its own reward. Writes the table of the test split
    (table.json, table.csv) and the gains on MLE (gains.json, gains.csv, gains.png).
    """

    def run_all(self) -> None:
        settings = self.settings(*self.fit_command("", [self.rlvr]))
        metrics = metric_settings(settings["model"]["init_args"]["rewards"])
        self.run_variants({name: reward_options(metrics, name) for name in metrics}, metrics)


def metric_settings(rewards: Mapping[str, Settings]) -> dict[str, Settings]:
    """Each metric as a reward of weight 1, with the other settings that a run gives its class."""
    given = {each["class_path"]: each.get("init_args", {}) for each in rewards.values()}
    return {
        name: {"class_path": path, "init_args": {**given.get(path, {}), "weight": 1.0}}
        for name, path in METRICS.items()
    }


def reward_options(metrics: Mapping[str, Settings], reward: str) -> tuple[str, ...]:
    """Options of a run that is rewarded and chosen by one metric, and watches every one."""
    watched = {
        name: each | {"init_args": each["init_args"] | {"weight": float(name == reward)}}
        for name, each in metrics.items()
    }
    monitor = {"class_path": "RewardMonitor", "init_args": {"rewards": watched}}
    rewards = ("--model.rewards", json.dumps({reward: metrics[reward]}))
    return (*rewards, "--trainer.callbacks+", json.dumps(monitor))


def tokenizer_of(checkpoint: Path) -> str:
    """The tokenizer that a world model was trained with.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: It does not name its tokenizer.
    """
    try:
        return load_checkpoint(checkpoint)["hyper_parameters"]["codec"]["init_args"]["tokenizer"]
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{checkpoint}: names no tokenizer; give a checkpoint that rlvr-world fit wrote"
        ) from error


class JointAnalysis(Analysis):
    """Train by MLE on several data sets together, then by RLVR on each, and score all on each.

    Writes a table for each data set into a folder of its name, and what RLVR gains on the joint MLE
    model in gains.json, gains.csv and gains.png. The data sets need frames and actions of one size.
    Runs that have finished are kept, an interrupted one goes on.

    Args:
        data: Folders of the shards by name, at least two.
        tokenizer: Checkpoint of a tokenizer, or a config (.yaml) to train one on all data sets.
        world_model: Config of MLE on token shards.
        mle_steps: Optimizer steps of MLE; those of the config if not given.
        **analysis: See ``Analysis``.
    """

    def __init__(
        self,
        data: dict[str, Path],
        tokenizer: Path,
        world_model: Path,
        mle_steps: int | None = None,
        **analysis: Any,
    ) -> None:
        super().__init__(**analysis)
        if len(data) < 2:
            raise ValueError(f"data: joint training needs two data sets or more, got {len(data)}")
        self.data, self.tokenizer, self.world_model = data, tokenizer, world_model
        self.mle_length = () if mle_steps is None else ("--trainer.max_steps", str(mle_steps))

    def run_all(self) -> None:
        tokenizer = self.tokenizer.absolute()
        if tokenizer.suffix in (".yaml", ".yml"):
            self.fit("tokenizer", [tokenizer], *roots(self.data))
            tokenizer = self.checkpoint("tokenizer")
        tokens = {name: self.folder / "tokens" / name for name in self.data}
        for name, root in self.data.items():
            folders = ("--source", str(root), "--root", str(tokens[name]))
            command = ("data", "tokens", "--tokenizer", str(tokenizer), *folders)
            self.run(f"Writing tokens of {name}", "tokens", *command)
        codec = ("--model.codec.tokenizer", str(tokenizer))
        self.fit("joint_mle", [self.world_model], *roots(tokens), *codec, *self.mle_length)
        models = {"joint_mle": self.checkpoint("joint_mle")}
        for name, root in self.data.items():
            run = f"rlvr_{name}"
            models[run] = self.reinforce(run, root, models["joint_mle"])
        tables = {name: self.folder / name for name in self.data}
        for name, root in self.data.items():
            self.compare(root, tables[name], models)
        self.plot_gains(tables, "joint_mle")


def roots(folders: dict[str, Path]) -> tuple[str, ...]:
    """Options that put several folders of shards into one stage."""
    first, *rest = map(str, folders.values())
    return ("--data.root", first, "--data.more_roots", json.dumps(rest))
