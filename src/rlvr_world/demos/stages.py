"""Commands in order: training that is kept, resumed and timed, and tables of what it leaves."""

import io
import json
import re
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.console import Console

from rlvr_world.files import sha256, write_json
from rlvr_world.runs import config_path, with_artefacts

Command = Callable[[Sequence[str]], None]

CONTENTS = ("manifest.json", "tokenizer.json", "config.json")
"""Files that say which data set, tokenizer or language model a folder holds."""


class Stages(ABC):
    """Runs command lines of ``rlvr-world``, keeps training that is finished and resumes the rest.

    Args:
        command: Runs one command line in this process.
        folder: Where checkpoints, logs and tables go.
        overlay: YAML that is laid over the config of every stage, such as one of
            ``configs/trainer/``; one that changes ``model``, such as other rewards, over those of
            world models only. The option may be repeated.
    """

    def __init__(self, command: Command, folder: Path, overlay: list[Path] | None = None) -> None:
        self.command = command
        self.folder = folder
        self.overlay = overlay or []
        for path in self.overlay:
            if not config_path(path).is_file():
                raise FileNotFoundError(f"overlay: there is no file {path}")
        self.console = Console()
        self.seconds: dict[str, float] = {}

    @abstractmethod
    def run_all(self) -> None:
        """Go from nothing to the tables."""

    def run(self, title: str, name: str, *args: str) -> None:
        self.console.rule(f"[bold]{title}")
        start = time.perf_counter()
        self.command(args)
        self.seconds[name] = time.perf_counter() - start
        self.console.print(f"{title}: {self.seconds[name]:.0f} s")

    def settings(self, *args: str) -> dict[str, Any]:
        """All settings of a command, defaults included; nothing is run."""
        text = io.StringIO()
        try:
            with redirect_stdout(text):
                self.command([*args, "--print_config"])
        except SystemExit as end:
            if end.code:
                raise
        return yaml.safe_load(text.getvalue())

    def checkpoint(self, run: str, which: str = "last") -> Path:
        return self.folder / run / "checkpoints" / f"{which}.ckpt"

    def fit_command(self, run: str, configs: Sequence[Path], *options: str) -> list[str]:
        model = contents(configs[0]).get("model", {})
        is_world_model = "codec" in model.get("init_args", {})
        overlays = [
            path for path in self.overlay if is_world_model or "model" not in contents(path)
        ]
        layers = [arg for path in (*configs, *overlays) for arg in ("-c", str(path))]
        return ["fit", *layers, "--folder", str(self.folder), "--run", run, *options]

    def fit(self, run: str, configs: Sequence[Path], *options: str) -> None:
        """Train a run, unless it has finished with the same settings and files; resume the rest."""
        command = self.fit_command(run, configs, *options)
        settings = self.settings(*command)
        made_from = {"settings": settings, "files": digests(with_artefacts(settings, self.folder))}
        record, last = self.folder / run / "finished.json", self.checkpoint(run)
        if record.exists():
            finished = json.loads(record.read_text())
            if all(finished.get(key) == value for key, value in made_from.items()):
                self.console.rule(f"[bold]Training {run}: kept from an earlier run")
                self.seconds[run] = finished["seconds"]
                return
            shutil.rmtree(self.folder / run)
        resume = ("--ckpt_path", str(last)) if last.exists() else ()
        self.run(f"Training {run}", run, *command, *resume)
        write_json(record, {"seconds": self.trained_seconds(run), **made_from})

    def trained_seconds(self, run: str) -> float:
        """The seconds of training in the last checkpoint of a run, interruptions left out."""
        callbacks = torch.load(self.checkpoint(run), weights_only=True)["callbacks"]
        return callbacks["Timer"]["time_elapsed"]["train"]

    def evaluate(self, config: Path, data: Path, output: Path, *options: str) -> None:
        folders = ("--data.root", str(data), "--output", str(output))
        args = ("evaluate", "-c", str(config), *folders, "--seconds", json.dumps(self.seconds))
        self.run(f"Evaluation on {data}", "evaluation", *args, *options)


def contents(config: Path) -> dict[str, Any]:
    """What a YAML file holds."""
    return yaml.safe_load(config_path(config).read_text())


def digests(settings: Any) -> dict[str, str]:
    """The SHA-256 of the files that settings name, and of the ``CONTENTS`` of such folders."""
    words = re.findall(r'"([^"]{1,250})"', json.dumps(settings, default=str))
    inside = (Path(word, name) for word in words if Path(word).is_dir() for name in CONTENTS)
    return {str(file): sha256(file) for file in {*map(Path, words), *inside} if file.is_file()}
