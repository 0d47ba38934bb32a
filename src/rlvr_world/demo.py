"""The whole path in one command: record, tokenise, maximise likelihood, reinforce, evaluate."""

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

Command = Callable[[Sequence[str]], None]


class Demo:
    """Runs the stages of one demo in order, keeps what is finished and resumes what is not.

    Args:
        command: Runs one command line of ``rlvr-world`` in this process.
        folder: Where checkpoints, logs and tables go.
        preset: Which configs to run, ``configs/*/{preset}.yaml``.
        configs: The folder of configs.
    """

    def __init__(self, command: Command, folder: Path, preset: str, configs: Path) -> None:
        self.command = command
        self.folder = folder
        self.preset = preset
        self.configs = configs
        self.console = Console()
        self.seconds: dict[str, float] = {}

    def run(self, title: str, name: str, *args: str) -> None:
        """Run one command and note the seconds that it takes under ``name``."""
        self.console.rule(f"[bold]{title}")
        start = time.perf_counter()
        self.command(args)
        self.seconds[name] = time.perf_counter() - start
        self.console.print(f"{title}: {self.seconds[name]:.0f} s")

    def config(self, stage: str) -> str:
        """The path of this demo's config for a stage."""
        return str(self.configs / stage / f"{self.preset}.yaml")

    def checkpoint(self, name: str, which: str = "last") -> Path:
        """A checkpoint of a stage, ``last`` or ``best``."""
        return self.folder / name / "checkpoints" / f"{which}.ckpt"

    def fit(self, title: str, name: str, stage: str, *options: str, keep: bool = False) -> None:
        """Train one stage, resuming an interrupted run; ``keep`` skips a finished one."""
        record = self.folder / name / "finished.json"
        if keep and record.exists():
            self.seconds[name] = json.loads(record.read_text())["seconds"]
            self.console.rule(f"[bold]{title}: kept, from an earlier run")
            return
        last = self.checkpoint(name)
        if record.exists() or not last.exists():
            resume = ()
            record.unlink(missing_ok=True)
            last.unlink(missing_ok=True)
        else:
            resume = ("--ckpt_path", str(last))
        logger = ("--trainer.logger.save_dir", str(self.folder), "--trainer.logger.name", name)
        self.run(title, name, "fit", "-c", self.config(stage), *logger, *options, *resume)
        write_json(record, {"seconds": self.seconds[name]})


def write_json(path: Path, value: object) -> None:
    """Write a JSON file whole or not at all."""
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(value, indent=2))
    os.replace(unfinished, path)
