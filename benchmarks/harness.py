"""Contenders that do the same work, measured in turn: A B A B ..., medians.

A benchmark is a module ``benchmarks/{name}.py`` with ``add_arguments(parser)`` and
``cases(args)``, which yields a ``Case`` each. ``args`` also holds ``scale`` (``tiny`` or
``full``), ``device`` and ``rounds``.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from statistics import median
from typing import Any

import torch

from benchmarks.memory import Peak, held
from rlvr_world.evaluation.comparison import device_name

Work = Callable[[], int]
"""One whole run of a contender; returns how many units (tokens, clips, frames) it made."""


class Unavailable(Exception):
    """Why a contender cannot run here; its row has no ratio, and this text as the reason."""


@dataclass(frozen=True)
class Contender:
    """One way to do the work.

    Args:
        name: What the table calls it.
        prepare: Builds what the work needs, and returns the work. May raise ``Unavailable``.
        requires: Modules to import first; one that is missing makes it unavailable. What they
            take is not counted as the contender's memory.
    """

    name: str
    prepare: Callable[[], Work]
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """Work of one shape for ours and for any number of rivals.

    Args:
        name: What the row is called; unique within a benchmark.
        shape: The sizes in words, such as ``16 prompts x 272 tokens``.
        unit: What is counted, in the plural.
        ours: This package.
        rivals: Public alternatives; one row each, or a single row without a ratio if none.
        notes: More columns of the JSON and of the table, such as the memory on paper.
    """

    name: str
    shape: str
    unit: str
    ours: Contender
    rivals: tuple[Contender, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Measurement:
    """What one contender took.

    ``memory`` is the peak of one run in bytes beyond what was held before the contender was
    prepared, so that weights and caches count; None where it is not known.
    """

    name: str
    units: int
    memory: int | None
    rounds: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The median over the rounds."""
        return median(self.rounds)

    def record(self) -> dict[str, Any]:
        """What the JSON says of it; memory in MiB."""
        return {
            "name": self.name,
            "seconds": self.seconds,
            "units_per_second": self.units / self.seconds,
            "memory_mib": None if self.memory is None else self.memory / 2**20,
            "rounds": self.rounds,
        }


@dataclass
class Row:
    """Ours beside one rival; ``theirs`` is None if there is none, or for the given reason."""

    case: Case
    device: str
    ours: Measurement
    theirs: Measurement | None = None
    reason: str | None = None

    @property
    def ratio(self) -> float | None:
        """How many times longer the rival takes."""
        return self.theirs.seconds / self.ours.seconds if self.theirs else None

    def record(self) -> dict[str, Any]:
        """The row as the JSON has it."""
        return {
            "case": self.case.name,
            "shape": self.case.shape,
            "unit": self.case.unit,
            "units": self.ours.units,
            "ratio": self.ratio,
            "ours": self.ours.record(),
            "theirs": self.theirs and self.theirs.record(),
            "reason": self.reason,
            "device": self.device,
            "notes": dict(self.case.notes),
        }


def measure(case: Case, device: torch.device, rounds: int = 3, warm_ups: int = 1) -> list[Row]:
    """Measure all contenders of a case in turn.

    Each is prepared, runs ``warm_ups`` times unmeasured, and once for its memory; then ``rounds``
    rounds follow in which every contender runs once.

    Raises:
        ValueError: If contenders make different numbers of units.
    """
    found: dict[str, tuple[Work, Measurement]] = {}
    reasons: dict[str, str] = {}
    for contender in (case.ours, *case.rivals):
        try:
            found[contender.name] = _warm_up(contender, device, warm_ups)
        except (ImportError, Unavailable) as error:
            if contender is case.ours:
                raise
            reasons[contender.name] = f"{contender.name} is not available: {error}"
    counts = {name: measurement.units for name, (_, measurement) in found.items()}
    if len(set(counts.values())) != 1:
        raise ValueError(f"{case.name}: contenders must make the same {case.unit}, got {counts}")
    for _ in range(rounds):
        for work, measurement in found.values():
            measurement.rounds.append(_seconds(work, device))
    ours, text = found[case.ours.name][1], describe(device)
    rows = [
        Row(case, text, ours, found[r.name][1] if r.name in found else None, reasons.get(r.name))
        for r in case.rivals
    ]
    return rows or [Row(case, text, ours)]


def describe(device: torch.device) -> str:
    """The device in words, with the threads on a CPU."""
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    return device_name(device) + threads


def _warm_up(contender: Contender, device: torch.device, warm_ups: int) -> tuple[Work, Measurement]:
    """The contender's work after some runs, and its units and memory in one more."""
    for module in contender.requires:
        import_module(module)
    before = held(device)
    work = contender.prepare()
    for _ in range(warm_ups):
        work()
    with Peak(device) as peak:
        units = work()
        _synchronize(device)
    known = before is not None and peak.bytes is not None
    return work, Measurement(contender.name, units, peak.bytes - before if known else None)


def _seconds(work: Work, device: torch.device) -> float:
    _synchronize(device)
    start = time.perf_counter()
    work()
    _synchronize(device)
    return time.perf_counter() - start


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
