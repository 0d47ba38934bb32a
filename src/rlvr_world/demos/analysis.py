"""What the analyses share: RLVR runs that differ in one setting, and tables of them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from rlvr_world.demos.stages import Stages


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
        choices = ("--data.root", str(data), *start, *self.length, *options)
        self.fit(f"RLVR: {name}", name, str(self.rlvr), *choices, keep=True)
        return self.checkpoint(name, "best")

    def compare(self, data: Path, folder: Path, models: Mapping[str, Path], *options: str) -> None:
        """Score checkpoints, each with its own distribution, without the config's other rows."""
        plain = ("--tune", "null", "--samplers", "null", *options)
        self.tabulate(str(self.evaluation), data, folder, models, *plain)

    def plot_gains(
        self, tables: Mapping[str, Path], base: str, metrics: Sequence[str] = ()
    ) -> None:
        """Write how much better the rows of tables, by the name of each, are than one row."""
        paths = json.dumps({name: str(folder / "table.json") for name, folder in tables.items()})
        options = ("--metrics", json.dumps(list(metrics))) if metrics else ()
        command = ("analyse", "gains", "--tables", paths, "--base", base, *options)
        self.run("Gains", "gains", *command, "--output", str(self.folder))

    def plot_curves(self, runs: Sequence[str]) -> None:
        """Write the curves of validation rewards of runs by RL step."""
        folders = json.dumps({name: str(self.folder / name) for name in runs})
        command = ("analyse", "curves", "--runs", folders, "--axes", '["batches", "seconds"]')
        self.run("Curves", "curves", *command, "--output", str(self.folder))


def tokenizer_of(checkpoint: Path) -> str:
    """The tokenizer that a world model was trained with.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: It does not name its tokenizer.
    """
    if not checkpoint.is_file():
        raise FileNotFoundError(f"{checkpoint}: no such checkpoint; train it, or correct the path")
    settings = torch.load(checkpoint, map_location="cpu", weights_only=True)
    try:
        return settings["hyper_parameters"]["codec"]["init_args"]["tokenizer"]
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{checkpoint}: names no tokenizer; give a checkpoint that rlvr-world fit wrote"
        ) from error
