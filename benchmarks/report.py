"""The table and the JSON of a benchmark."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.harness import Measurement, Row, describe
from rlvr_world.modules.checkpoint import code_commit

WIDTH = 120  # of the table, where the terminal has less or there is none


def document(benchmark: str, rows: Iterable[Row], device: torch.device) -> dict[str, Any]:
    """What ``--json`` writes: where it was measured, and the rows."""
    return {
        "benchmark": benchmark,
        "device": describe(device),
        "commit": code_commit(),
        "torch": torch.__version__,
        "rows": [row.record() for row in rows],
    }


def show(benchmark: str, rows: Sequence[Row], device: torch.device) -> None:
    """Print the rows as one table."""
    title = f"{benchmark}: {describe(device)}, torch {torch.__version__}, commit {code_commit()}"
    table = Table(title=title, show_lines=True, caption="ratio: their seconds / our seconds")
    for header in ("case", "ours", "theirs", "ratio", "notes"):
        table.add_column(header, justify="right" if header == "ratio" else "left")
    for row in rows:
        theirs = cell(row.theirs, row.case.unit) if row.theirs else row.reason or "-"
        table.add_row(
            f"{row.case.name}\n{row.case.shape}",
            cell(row.ours, row.case.unit),
            theirs,
            "-" if row.ratio is None else f"{row.ratio:.2f}",
            "\n".join(f"{name}: {number(note)}" for name, note in row.case.notes.items()),
        )
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(table)


def cell(measurement: Measurement, unit: str) -> str:
    """Name, speed, median seconds and memory."""
    speed = f"{number(measurement.units / measurement.seconds)} {unit}/s"
    memory = measurement.memory
    size = "memory not known" if memory is None else f"{memory / 2**20:,.0f} MiB"
    return f"{measurement.name}\n{speed}\n{number(measurement.seconds)} s, {size}"


def number(value: Any) -> str:
    """Three significant digits below 1000, whole numbers above; text as it is."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
