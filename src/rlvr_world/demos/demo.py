"""What the demos share: stages that are kept, resumed and timed, and the table at the end."""

import json
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from rich.console import Console

from rlvr_world.data.manifest import write_json

VALIDATIONS = 4
"""Validations of the control, among whose checkpoints the best is taken, as for RLVR."""

Command = Callable[[Sequence[str]], None]


class Demo(ABC):
    """Runs the stages of one demo in order, keeps what is finished and resumes what is not.

    Args:
        command: Runs one command line of ``rlvr-world`` in this process.
        preset: Which configs to run, ``{configs}/*/{preset}.yaml``.
        folder: Where checkpoints, logs and tables go.
        data: Folder of the recording.
        configs: The folder of configs.
        overlay: YAML that says where and how every stage trains.
    """

    def __init__(
        self,
        command: Command,
        preset: str,
        folder: Path,
        data: Path,
        configs: Path,
        overlay: Path | None = None,
    ) -> None:
        self.command = command
        self.preset = preset
        self.folder = folder
        self.data = data
        self.configs = configs
        self.overlay = () if overlay is None else ("-c", str(overlay))
        self.console = Console()
        self.seconds: dict[str, float] = {}

    def run(self, title: str, name: str, *args: str) -> None:
        """Run one command and note the seconds that it takes under ``name``."""
        self.console.rule(f"[bold]{title}")
        start = time.perf_counter()
        self.command(args)
        self.seconds[name] = time.perf_counter() - start
        self.console.print(f"{title}: {self.seconds[name]:.0f} s")

    def config(self, stage: str, variant: str = "") -> str:
        """The path of this demo's config for a stage, or for a variant of it."""
        return str(self.configs / stage / f"{self.preset}{variant}.yaml")

    def checkpoint(self, name: str, which: str = "last") -> Path:
        """A checkpoint of a stage, ``last`` or ``best``."""
        return self.folder / name / "checkpoints" / f"{which}.ckpt"

    def fit(self, title: str, name: str, path: str, *options: str, keep: bool = False) -> None:
        """Train one stage by the config at ``path``, going on with an interrupted run.

        ``keep`` skips a stage that has finished with the same config.
        """
        record, last = self.folder / name / "finished.json", self.checkpoint(name)
        config = Path(path).read_text()
        if record.exists():
            finished = json.loads(record.read_text())
            if keep and finished["config"] == config:
                self.console.rule(f"[bold]{title}: kept from an earlier run")
                self.seconds[name] = finished["seconds"]
                return
            shutil.rmtree(self.folder / name)
        resume = ("--ckpt_path", str(last)) if last.exists() else ()
        logger = ("--trainer.logger.save_dir", str(self.folder), "--trainer.logger.name", name)
        clock = ("--trainer.max_time", "07:00:00:00")
        configs = ("-c", path, *self.overlay)
        self.run(title, name, "fit", *configs, *logger, *clock, *options, *resume)
        write_json(record, {"seconds": self.trained_seconds(name), "config": config})

    def trained_seconds(self, name: str) -> float:
        """The seconds of training in the last checkpoint of a stage, interruptions left out."""
        callbacks = torch.load(self.checkpoint(name), weights_only=True)["callbacks"]
        return callbacks["Timer"]["time_elapsed"]["train"]

    @abstractmethod
    def run_all(self) -> None:
        """Go from nothing to the table."""

    def equal_time(self, stage: str) -> tuple[str, ...]:
        """Options that make MLE train for as long as a stage did, on a schedule that fits."""
        seconds = self.trained_seconds(stage)
        checkpoint = torch.load(self.checkpoint("mle"), weights_only=True)
        steps = round(seconds * checkpoint["global_step"] / self.trained_seconds("mle"))
        options = {
            "--trainer.max_epochs": VALIDATIONS,
            "--trainer.limit_train_batches": max(2, round(steps / VALIDATIONS)),
            "--model.optimizer.lr": 1e-3,
        }
        return tuple(str(part) for option in options.items() for part in option)

    def evaluate(self, models: Mapping[str, str]) -> None:
        """Score checkpoints on the test split, by stage, each ``last`` or ``best``."""
        paths = {name: str(self.checkpoint(name, which)) for name, which in models.items()}
        self.run(
            "Evaluation on the test split",
            "evaluation",
            "evaluate",
            *("-c", self.config("evaluation"), "--data.root", str(self.data)),
            *("--output", str(self.folder)),
            *("--models", json.dumps(paths), "--seconds", json.dumps(self.seconds)),
        )
