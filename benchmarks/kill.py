"""Runs that are killed at any moment and resumed: do they end with the same weights?

A tiny run of each stage is killed, one half of the times at a random moment, the other half within
the writing of a checkpoint after a random share of its bytes. Then it is resumed, or begun again if
it had saved nothing, and what it has learnt is compared bit for bit with an uninterrupted run.
"""

import argparse
import io
import logging
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.tiny_runs import STAGES, options, with_parents, write_data
from rlvr_world.cli import import_rooms
from rlvr_world.command_line.training import TrainingCLI
from rlvr_world.files import write_json
from rlvr_world.modules import checkpoint as checkpoints
from rlvr_world.modules.checkpoint import CheckpointFiles, code_commit, load_checkpoint

SAVED = "saved.txt"  # of a run: the steps of the checkpoints that were written to the end


@dataclass(frozen=True)
class Kill:
    """One kill: when, what was left, and what came of it."""

    stage: str
    moment: str
    saved: int
    lost: int
    unreadable: int
    left_behind: int
    differs: int
    best_differs: int
    seconds: float


def run(arguments: list[str], folder: Path, fatal_write: tuple[int, float] | None = None) -> None:
    """``fit`` in this process, which notes each checkpoint that is written.

    Args:
        arguments: Of the command line.
        folder: Of the run, for its log and its notes.
        fatal_write: The number of a checkpoint, and the share of its bytes after which the process
            kills itself.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    torch.set_num_threads(1)
    multiprocessing.set_start_method("fork", force=True)  # of the loaders' workers, as elsewhere
    write, save, written = CheckpointFiles.save_checkpoint, torch.save, 0

    def noted(self: CheckpointFiles, state: dict[str, Any], path: Any, **rest: Any) -> None:
        write(self, state, path, **rest)
        with (folder / SAVED).open("a") as notes:
            notes.write(f"{Path(path).name} {state['global_step']}\n")

    def fatal(state: Any, path: Any) -> None:
        nonlocal written
        written += 1
        if fatal_write is None or written < fatal_write[0]:
            save(state, path)
            return
        buffer = io.BytesIO()
        save(state, buffer)
        Path(path).write_bytes(buffer.getvalue()[: int(fatal_write[1] * buffer.tell())])
        os.kill(os.getpid(), signal.SIGKILL)

    CheckpointFiles.save_checkpoint = noted  # type: ignore[method-assign]
    checkpoints.torch.save = fatal  # type: ignore[assignment]
    import_rooms()
    TrainingCLI(arguments)


class Stage:
    """Kills of one stage.

    Args:
        name: Of the stage.
        folder: Of all runs.
        draw: Chooses the moments.
    """

    def __init__(self, name: str, folder: Path, draw: random.Random) -> None:
        self.name, self.folder, self.draw = name, folder, draw
        self.context = multiprocessing.get_context("forkserver")
        import_rooms()
        ours = [module for module in sys.modules if module.startswith("rlvr_world")]
        self.context.set_forkserver_preload(["benchmarks.kill", *ours])
        seconds = self.go(name, kill_after=None)
        self.seconds, self.writes = seconds, len(self.saves(name))
        self.truth = learnt(self.checkpoint(name, "last"))
        self.best = learnt(self.checkpoint(name, "best"))

    def checkpoint(self, run: str, name: str) -> Path:
        """Where a run keeps one."""
        return self.folder / run / "checkpoints" / f"{name}.ckpt"

    def saves(self, run: str) -> list[str]:
        """The names and steps of the checkpoints that a run has written to the end."""
        notes = self.folder / run / SAVED
        return notes.read_text().splitlines() if notes.exists() else []

    def go(
        self,
        name: str,
        more: Sequence[str] = (),
        kill_after: float | None = None,
        fatal_write: tuple[int, float] | None = None,
    ) -> float:
        """Run to the end or to a kill; the seconds after its start."""
        arguments = [*options(self.name, self.folder, name), *more]
        process = self.context.Process(
            target=run, args=(arguments, self.folder / name, fatal_write)
        )
        process.start()
        while process.is_alive() and not (self.folder / name / "config.yaml").exists():
            time.sleep(0.005)
        start = time.perf_counter()
        process.join(kill_after)
        if kill_after is not None:
            process.kill()
        process.join()
        killed = kill_after is not None or fatal_write is not None
        if process.exitcode not in ((0, -signal.SIGKILL) if killed else (0,)):
            log = (self.folder / name / "log.txt").read_text()
            raise RuntimeError(f"{name} ended with {process.exitcode}: {log[-2000:]}")
        return time.perf_counter() - start

    def kill(self, number: int) -> Kill:
        """Kill a run, resume it and compare."""
        name, start = f"{self.name}_{number}", time.perf_counter()
        if number % 2:
            write, share = self.draw.randrange(1, self.writes + 1), self.draw.uniform(0, 1)
            moment = f"in write {write} after {share:.0%}"
            self.go(name, fatal_write=(write, share))
        else:
            after = self.draw.uniform(0, self.seconds)
            moment = f"after {after:.2f} of {self.seconds:.2f} s"
            self.go(name, kill_after=after)
        saved = self.saves(name)
        newest = dict(line.split() for line in saved)
        lost = unreadable = 0
        for kept, step in newest.items():
            path = self.folder / name / "checkpoints" / kept
            try:
                lost += not path.exists() or load_checkpoint(path)["global_step"] < int(step)
            except ValueError:
                unreadable += 1
        last = self.checkpoint(name, "last")
        self.go(name, ["--ckpt_path", str(last)] if last.exists() else [])
        files = {path.name for path in last.parent.iterdir()} - {"best.ckpt", "last.ckpt"}
        differs = difference(learnt(last), self.truth)
        best_differs = difference(learnt(self.checkpoint(name, "best")), self.best)
        seconds = time.perf_counter() - start
        found = (len(saved), lost, unreadable, len(files), differs, best_differs, seconds)
        return Kill(self.name, moment, *found)


def learnt(path: Path) -> dict[str, torch.Tensor]:
    """The weights and the optimizers' state in a checkpoint, flat."""
    checkpoint, found = load_checkpoint(path), {}
    for part in ("state_dict", "current_model_state", "averaging_state"):
        found |= {f"{part}.{k}": v for k, v in checkpoint.get(part, {}).items()}
    for number, optimizer in enumerate(checkpoint["optimizer_states"]):
        for index, state in optimizer["state"].items():
            found |= {f"optimizer {number}.{index}.{k}": v for k, v in state.items()}
    return found


def difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> int:
    """How many tensors differ in any bit or are missing."""
    return sum(
        key not in one or key not in other or not torch.equal(one[key], other[key])
        for key in one.keys() | other.keys()
    )


def main(arguments: Sequence[str]) -> list[Kill]:
    """Kill runs of the stages: print a table, and write it as JSON if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks kill", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="of each stage")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=[*STAGES])
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--json", type=Path, help="also write every kill to this file")
    args = parser.parse_args(arguments)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    kills: list[Kill] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_data(folder)
        for name in with_parents(args.stages):
            stage = Stage(name, folder, random.Random(f"{args.seed} {name}"))
            numbers = range(args.kills if name in args.stages else 0)
            for number in track(numbers, description=name, transient=True):
                kills.append(stage.kill(number))
                if args.json is not None:
                    write_json(args.json, document(kills))
    show(kills)
    return kills


def document(kills: Sequence[Kill]) -> dict[str, Any]:
    """What ``--json`` writes."""
    rows = [asdict(kill) for kill in kills]
    return {"benchmark": "kill", "commit": code_commit(), "torch": torch.__version__, "rows": rows}


def show(kills: Sequence[Kill]) -> None:
    """Print one row for each stage."""
    table = Table(title=f"kill: torch {torch.__version__}, commit {code_commit()}")
    headers = ("stage", "kills", "in a write", "before any save", "lost", "unreadable")
    for header in (*headers, "left behind", "last differs", "best differs", "seconds per kill"):
        table.add_column(header, justify="right")
    for name in dict.fromkeys(kill.stage for kill in kills):
        mine = [kill for kill in kills if kill.stage == name]
        counts = [
            len(mine),
            sum("write" in kill.moment for kill in mine),
            sum(not kill.saved for kill in mine),
            *(sum(getattr(k, f) for k in mine) for f in ("lost", "unreadable", "left_behind")),
            sum(kill.differs > 0 for kill in mine),
            sum(kill.best_differs > 0 for kill in mine),
        ]
        seconds = sum(kill.seconds for kill in mine) / len(mine)
        table.add_row(name, *map(str, counts), f"{seconds:.1f}")
    Console(width=120).print(table)
