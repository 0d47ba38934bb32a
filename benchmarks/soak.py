"""A long run of RLVR, as users have it: do its memory, open files, threads and processes stay flat?

A tiny world model is tuned by ``rlvr-world fit``, in a process of its own, with workers that load,
validations, checkpoints and logs. What the process holds is read from ``/proc``, so only on Linux.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.table import Table

from benchmarks.tiny_runs import options, with_parents, write_data
from rlvr_world.files import write_json
from rlvr_world.modules.checkpoint import code_commit

EVERY = 50
"""Steps between two measures."""
WARM = 200
"""Steps after which nothing is to grow."""
AS_USERS = """
--trainer.logger null --trainer.max_epochs -1 --trainer.val_check_interval 50 --data.num_workers 2
--data.samples_per_epoch 502 --checkpoint.every_n_train_steps 100
"""
"""Epochs of 251 batches, so that no measure but the last falls on the end of one."""


@dataclass(frozen=True)
class Held:
    """What a process holds after a number of RL steps; ``worker`` is the largest of its workers."""

    step: int
    resident_mb: float
    peak_mb: float
    worker_mb: float
    files: int
    threads: int
    processes: int

    @classmethod
    def now(cls, step: int) -> "Held":
        """By this process."""
        workers = active_children()
        return cls(
            step,
            resident_mb(os.getpid()),
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
            max((resident_mb(worker.pid) for worker in workers), default=0.0),
            len(os.listdir("/proc/self/fd")),
            len(os.listdir("/proc/self/task")),
            len(workers),
        )


class Gauge(Callback):
    """Writes what its process holds to a file, a line of JSON every so many batches.

    Args:
        path: The file, which is appended to.
        every: The batches.
    """

    def __init__(self, path: Path, every: int = EVERY) -> None:
        self.path, self.every = path, every

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        step = trainer.fit_loop.epoch_loop.batch_progress.total.processed
        if step % self.every == 0:
            with self.path.open("a") as lines:
                lines.write(json.dumps(asdict(Held.now(step))) + "\n")


def resident_mb(process: int | None) -> float:
    """The resident memory of a process in MiB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def fit(stage: str, folder: Path, more: Sequence[str] = ()) -> None:
    """Run a stage as a command of its own.

    Raises:
        RuntimeError: It fails.
    """
    command = [sys.executable, "-m", "rlvr_world", *options(stage, folder, stage), *more]
    log = folder / f"{stage}.txt"
    with log.open("w") as output:
        code = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT).returncode
    if code:
        raise RuntimeError(f"{stage} ended with {code}: {log.read_text()[-2000:]}")


def soak(folder: Path, steps: int, every: int = EVERY) -> list[Held]:
    """Train all stages, the last one for so many RL steps; what its process held."""
    write_data(folder)
    *before, last = with_parents(["rlvr"])
    for stage in before:
        fit(stage, folder)
    path = folder / "held.jsonl"
    gauge = f"--trainer.callbacks benchmarks.soak.Gauge --trainer.callbacks.path {path}"
    length = f"--trainer.callbacks.every {every} --trainer.max_steps {2 * steps}"  # 2 a rollout
    fit(last, folder, f"{AS_USERS} {gauge} {length}".split())
    return [Held(**json.loads(line)) for line in path.read_text().splitlines()]


def grown(held: Sequence[Held]) -> dict[str, float]:
    """How much more each is at the end than after the first steps, as a share of that.

    Workers come and go, so their number is not among it.
    """
    first = next(each for each in held if each.step >= min(WARM, held[-1].step))
    before, after = asdict(first), asdict(held[-1])
    names = ("resident_mb", "peak_mb", "worker_mb", "files", "threads")
    return {name: after[name] / before[name] - 1 if before[name] else 0.0 for name in names}


def main(arguments: Sequence[str]) -> list[Held]:
    """Run once: print a table, and write it as JSON if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks soak", description=__doc__)
    parser.add_argument("--steps", type=int, default=2000, help="of RL")
    parser.add_argument("--json", type=Path, help="also write every measure to this file")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        held = soak(Path(folder), args.steps)
    if args.json is not None:
        write_json(args.json, document(held))
    show(held)
    return held


def document(held: Sequence[Held]) -> dict[str, Any]:
    """What ``--json`` writes."""
    rows = [asdict(each) for each in held]
    about = {"benchmark": "soak", "commit": code_commit(), "torch": torch.__version__}
    return about | {"rows": rows, "grown": grown(held)}


def show(held: Sequence[Held]) -> None:
    """Print a row for every 200 steps, and what has grown."""
    table = Table(title=f"soak: torch {torch.__version__}, commit {code_commit()}")
    for header in ("RL steps", "resident MiB", "peak MiB", "largest worker MiB", "open files"):
        table.add_column(header, justify="right")
    table.add_column("threads", justify="right")
    table.add_column("workers", justify="right")
    for each in held:
        if each.step % WARM == 0:
            table.add_row(*(f"{value:.0f}" for value in asdict(each).values()))
    shares = (f"{share:+.1%}" for share in grown(held).values())
    table.add_section()
    table.add_row("grown", *shares)
    Console(width=120).print(table)
