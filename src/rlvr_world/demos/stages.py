"""Stages of training that are kept, resumed and timed, and tables of what they leave."""

import json
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import torch
from rich.console import Console

from rlvr_world.files import write_json

Command = Callable[[Sequence[str]], None]


class Stages(ABC):
    """Runs stages in order, keeps what is finished and resumes what is not.

    Args:
        command: Runs one command line of ``rlvr-world`` in this process.
        folder: Where checkpoints, logs and tables go.
        overlay: YAML that says where and how every stage trains, such as ``configs/trainer/``'s.
    """

    def __init__(self, command: Command, folder: Path, overlay: Path | None = None) -> None:
        self.command = command
        self.folder = folder
        self.overlay = () if overlay is None else ("-c", str(overlay))
        self.console = Console()
        self.seconds: dict[str, float] = {}

    @abstractmethod
    def run_all(self) -> None:
        """Go from nothing to the tables."""

    def run(self, title: str, name: str, *args: str) -> None:
        """Run one command and note the seconds that it takes under ``name``."""
        self.console.rule(f"[bold]{title}")
        start = time.perf_counter()
        self.command(args)
        self.seconds[name] = time.perf_counter() - start
        self.console.print(f"{title}: {self.seconds[name]:.0f} s")

    def checkpoint(self, name: str, which: str = "last") -> Path:
        """A checkpoint of a stage, ``last`` or ``best``."""
        return self.folder / name / "checkpoints" / f"{which}.ckpt"

    def fit(self, title: str, name: str, path: str, *options: str, keep: bool = False) -> None:
        """Train one stage by the config at ``path``, going on with an interrupted run.

        ``keep`` skips a stage that has finished with the same config, options and checkpoints.
        """
        record, last = self.folder / name / "finished.json", self.checkpoint(name)
        made_from = {"config": Path(path).read_text(), "options": digested(options)}
        if record.exists():
            finished = json.loads(record.read_text())
            if keep and all(finished.get(key, value) == value for key, value in made_from.items()):
                self.console.rule(f"[bold]{title}: kept from an earlier run")
                self.seconds[name] = finished["seconds"]
                return
            shutil.rmtree(self.folder / name)
        resume = ("--ckpt_path", str(last)) if last.exists() else ()
        logger = ("--trainer.logger.save_dir", str(self.folder), "--trainer.logger.name", name)
        clock = ("--trainer.max_time", "07:00:00:00")
        configs = ("-c", path, *self.overlay)
        self.run(title, name, "fit", *configs, *logger, *clock, *options, *resume)
        write_json(record, {"seconds": self.trained_seconds(name), **made_from})

    def trained_seconds(self, name: str) -> float:
        """The seconds of training in the last checkpoint of a stage, interruptions left out."""
        callbacks = torch.load(self.checkpoint(name), weights_only=True)["callbacks"]
        return callbacks["Timer"]["time_elapsed"]["train"]

    def tabulate(
        self, config: str, data: Path, folder: Path, models: Mapping[str, Path], *options: str
    ) -> None:
        """Score checkpoints, by the name of their row, on the clips of a data set.

        Args:
            config: The config of ``evaluate``.
            data: Folder of the shards.
            folder: Where the table goes.
            models: Checkpoints by row, in the place of the config's.
            options: Further options of ``evaluate``.
        """
        rows = json.dumps({name: str(path) for name, path in models.items()})
        self.run(
            f"Evaluation on {data}",
            "evaluation",
            *("evaluate", "-c", config, "--data.root", str(data), "--output", str(folder)),
            *("--models", rows, "--seconds", json.dumps(self.seconds), *options),
        )


def digested(options: Sequence[str]) -> list[str]:
    """Options, with the hash of its content in the place of a file that one names."""
    return [sha256(Path(x).read_bytes()).hexdigest() if is_file(x) else x for x in options]


def is_file(option: str) -> bool:
    """Whether an option names a file; one may be too long for a name."""
    try:
        return Path(option).is_file()
    except OSError:
        return False
