"""The whole path in one command: record, tokenise, maximise likelihood, reinforce, evaluate."""

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
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
        record, last = self.folder / name / "finished.json", self.checkpoint(name)
        if keep and record.exists():
            self.console.rule(f"[bold]{title}: kept from an earlier run")
            self.seconds[name] = json.loads(record.read_text())["seconds"]
            return
        if record.exists():
            shutil.rmtree(self.folder / name)
        resume = ("--ckpt_path", str(last)) if last.exists() else ()
        logger = ("--trainer.logger.save_dir", str(self.folder), "--trainer.logger.name", name)
        limit = () if "--trainer.max_time" in options else ("--trainer.max_time", "07:00:00:00")
        arguments = (*logger, *limit, *options, *resume)
        self.run(title, name, "fit", "-c", self.config(stage), *arguments)
        elapsed = self.trained_seconds(name)
        write_json(record, {"seconds": elapsed})

    def trained_seconds(self, name: str) -> float:
        """The seconds of training in the last checkpoint of a stage, interruptions left out."""
        callbacks = torch.load(self.checkpoint(name), weights_only=True)["callbacks"]
        return callbacks["Timer"]["time_elapsed"]["train"]

    def run_all(self) -> None:
        """Go from nothing to the table."""
        data, tokens = Path("data/pusht"), Path("data/pusht_tokens")
        tokenizer = str(self.checkpoint("tokenizer"))
        self.run("Recording PushT", "data", "data", "pusht", "--root", str(data))
        self.fit("Stage 1: tokenizer", "tokenizer", "tokenizer", keep=True)
        folders = ("--tokenizer", tokenizer, "--source", str(data), "--root", str(tokens))
        self.run("Writing token shards", "tokens", "data", "tokens", *folders)
        self.fit("Stage 2: maximum likelihood", "mle", "world_model")
        mle = ("--model.weights", str(self.checkpoint("mle")))
        self.fit("Stage 3: RLVR", "rlvr", "rlvr", *mle)
        self.fit(
            "Control: MLE for as long as RLVR took",
            "mle_equal_time",
            "world_model",
            *mle,
            *self.equal_time(),
        )
        self.evaluate()

    def equal_time(self) -> tuple[str, ...]:
        """Options that make MLE train for as long as RLVR did, on a schedule that fits into it."""
        seconds = self.trained_seconds("rlvr")
        checkpoint = torch.load(self.checkpoint("mle"), weights_only=True)
        steps = round(seconds * checkpoint["global_step"] / self.trained_seconds("mle"))
        options = {
            "--trainer.max_time": time.strftime("00:%H:%M:%S", time.gmtime(math.ceil(seconds))),
            "--trainer.max_steps": max(1, steps),
            "--model.optimizer.lr": 1e-3,
        }
        return tuple(str(part) for option in options.items() for part in option)

    def evaluate(self) -> None:
        """Score every checkpoint on the test split."""
        best = {"rlvr": "best", "mle_equal_time": "best"}
        models = {
            name: str(self.checkpoint(name, best.get(name, "last")))
            for name in ("mle", "mle_equal_time", "rlvr")
        }
        self.run(
            "Evaluation on the test split",
            "evaluation",
            "evaluate",
            *("-c", self.config("evaluation"), "--output", str(self.folder)),
            *("--models", json.dumps(models), "--seconds", json.dumps(self.seconds)),
        )


def write_json(path: Path, value: object) -> None:
    """Write a JSON file whole or not at all."""
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(value, indent=2))
    os.replace(unfinished, path)
