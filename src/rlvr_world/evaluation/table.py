"""A table of metrics: rows are models and baselines, cells are means over a split."""

import csv
import io
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import rich.box
import rich.console
import rich.table
from torch import Tensor

NAME_WIDTH, CELL_WIDTH = 22, 19  # characters in a terminal, with the space between columns


class Cell(NamedTuple):
    """A mean over clips, and its standard deviation over sampling seeds; None with one seed."""

    mean: float
    std: float | None


@dataclass
class Table:
    """What ``evaluate`` measures, as it is written to ``table.json``.

    Args:
        labels: Heading of each metric, in the order of the columns.
        higher_is_better: The good direction of each metric.
        rows: Cells by row and metric; a metric that a row does not have is left out.
        seeds: Number of sampling seeds of a model's row.
        samples: Number of clips.
        split: The split that was measured.
        seconds: Duration of each stage of training.
        commit: Commit of the code.
        device: What it ran on.
        data: Fingerprint of the data.
        checkpoints: Checkpoint of each model's row.
        samplers: Sampler settings of each model's row.
    """

    labels: dict[str, str]
    higher_is_better: dict[str, bool]
    rows: dict[str, dict[str, Cell]]
    seeds: int
    samples: int
    split: str
    seconds: dict[str, float]
    commit: str | None
    device: str
    data: str | None = None
    checkpoints: dict[str, str] = field(default_factory=dict)
    samplers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def save(self, folder: str | Path) -> None:
        """Write ``table.json`` and ``table.csv``, each whole or not at all."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        contents = {
            "table.json": json.dumps(asdict(self), indent=2, allow_nan=False) + "\n",
            "table.csv": self.csv(),
        }
        for name, text in contents.items():
            unfinished = folder / f"{name}.tmp"
            unfinished.write_text(text)
            os.replace(unfinished, folder / name)

    def csv(self) -> str:
        """The table with columns ``row``, then ``<metric> mean`` and ``<metric> std``."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["row", *(f"{m} {part}" for m in self.labels for part in ("mean", "std"))])
        for name, cells in self.rows.items():
            numbers = [cells.get(metric, ("", "")) for metric in self.labels]
            writer.writerow([name, *(number for cell in numbers for number in cell)])
        return buffer.getvalue()

    def rendered(self, width: int = 80) -> rich.console.Group:
        """The table for a terminal of ``width`` characters, in blocks of columns that fit."""
        metrics, fit = list(self.labels), max(1, (width - NAME_WIDTH) // CELL_WIDTH)
        blocks = [metrics[start : start + fit] for start in range(0, len(metrics), fit)]
        title = (
            f"{self.samples} clips of the {self.split} split, mean ± std over "
            f"{self.seeds} sampling seeds, {self.device}"
        )
        return rich.console.Group(title, *(self.block(columns) for columns in blocks))

    def block(self, metrics: list[str]) -> rich.table.Table:
        """Some columns of the table for a terminal."""
        table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
        table.add_column("", min_width=NAME_WIDTH - 4, no_wrap=True)
        for metric in metrics:
            arrow = "↑" if self.higher_is_better[metric] else "↓"
            heading = f"{self.labels[metric]} {arrow}"
            table.add_column(heading, justify="right", min_width=CELL_WIDTH - 2)
        for name, cells in self.rows.items():
            table.add_row(name, *(text_of(cells.get(metric)) for metric in metrics))
        return table


def summarize(scores: Mapping[str, Tensor]) -> dict[str, Cell]:
    """The cells of a row.

    Args:
        scores: Each metric of every clip and seed, [clips, seeds], NaN where it does not apply.
            One seed stands for a row without randomness if it is given as [clips].

    Returns:
        The mean over clips of each seed, then mean and standard deviation (n - 1) over seeds. A
        metric that applies to no clip is left out.
    """
    cells = {}
    for name, values in scores.items():
        if values.isnan().all():
            continue
        by_seed = values.double().nanmean(dim=0)
        if values.ndim == 1:
            cells[name] = Cell(by_seed.item(), 0.0)
        else:
            std = by_seed.std().item() if len(by_seed) > 1 else None
            cells[name] = Cell(by_seed.mean().item(), std)
    return cells


def text_of(cell: Cell | None) -> str:
    """A cell as text: 4 digits of the mean, 1 of the standard deviation."""
    if cell is None:
        return "-"
    mean, std = f"{cell.mean:.4g}", cell.std
    return f"{mean} ± {std:.1g}" if std else mean
