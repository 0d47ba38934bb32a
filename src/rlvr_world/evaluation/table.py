"""A table of metrics: rows are models and baselines, cells are means over a split."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import rich.box
import rich.console
import rich.table

from rlvr_world.evaluation.cells import Cell, columns, numbers, text_of
from rlvr_world.evaluation.files import csv_text, json_text, write_whole
from rlvr_world.evaluation.groups import Breakdown

NAME_WIDTH, CELL_WIDTH = 22, 19  # characters in a terminal, with the space between columns


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
        breakdown: Some metrics by group of transitions.
        too_long: Number of clips of which the codec cut a prompt, an answer or another part to its
            limit; empty where it has none.
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
    breakdown: Breakdown | None = None
    too_long: dict[str, int] = field(default_factory=dict)

    def save(self, folder: str | Path) -> None:
        """Write ``table.json``, ``table.csv`` and, with groups, ``by_<group>.csv``."""
        write_whole(Path(folder) / "table.json", json_text(asdict(self)))
        write_whole(Path(folder) / "table.csv", self.csv())
        if self.breakdown is not None:
            path = Path(folder) / f"by_{self.breakdown.name}.csv"
            write_whole(path, self.breakdown.csv(list(self.labels)))

    def csv(self) -> str:
        """The table with columns ``row``, then ``<metric> mean`` and ``<metric> std``."""
        metrics = list(self.labels)
        lines = [[name, *numbers(cells, metrics)] for name, cells in self.rows.items()]
        return csv_text([["row", *columns(metrics)], *lines])

    def rendered(self, width: int = 80) -> rich.console.Group:
        """The table for a terminal of ``width`` characters, in blocks of columns that fit."""
        metrics, fit = list(self.labels), max(1, (width - NAME_WIDTH) // CELL_WIDTH)
        blocks = [metrics[start : start + fit] for start in range(0, len(metrics), fit)]
        title = (
            f"{self.samples} clips of the {self.split} split, mean ± std over "
            f"{self.seeds} sampling seeds, {self.device}"
        )
        parts = [f"{count} {part}s" for part, count in self.too_long.items()]
        cut = [f"Cut to the codec's limits: {', '.join(parts)} of {self.samples}."] if parts else []
        return rich.console.Group(title, *map(self.block, blocks), *cut)

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
