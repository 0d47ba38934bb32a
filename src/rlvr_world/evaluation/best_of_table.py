"""The best of several samples as a table and a plot."""

from dataclasses import asdict, dataclass
from pathlib import Path

import rich.box
import rich.table

from rlvr_world.evaluation.files import csv_text, json_text, write_whole
from rlvr_world.evaluation.plots import write_lines


@dataclass
class BestOf:
    """What ``best_of`` measures, as it is written to ``best_of.json``.

    Args:
        sizes: Numbers of samples that the best is taken of.
        labels: Heading of each metric.
        higher_is_better: The good direction of each metric.
        rows: By row and metric, the mean over clips of the best score for each of ``sizes``; a
            metric that applies to no clip is left out.
        samples: Number of samples drawn for each clip.
        clips: Number of clips.
        split: The split that they are from.
        commit: Commit of the code.
        device: What it ran on.
        data: Fingerprint of the data.
        checkpoints: Checkpoint of each row.
    """

    sizes: list[int]
    labels: dict[str, str]
    higher_is_better: dict[str, bool]
    rows: dict[str, dict[str, list[float]]]
    samples: int
    clips: int
    split: str
    commit: str | None
    device: str
    data: str | None
    checkpoints: dict[str, str]

    def save(self, folder: Path) -> None:
        """Write ``best_of.json``, ``best_of.csv`` and ``best_of.png``."""
        write_whole(folder / "best_of.json", json_text(asdict(self)))
        heading = ["metric", "row", *(f"best of {size}" for size in self.sizes)]
        lines = [[m, row, *best] for m, rows in self.by_metric().items() for row, best in rows]
        write_whole(folder / "best_of.csv", csv_text([heading, *lines]))
        panels = {
            self.heading(metric): {row: (self.sizes, best) for row, best in rows}
            for metric, rows in self.by_metric().items()
        }
        write_lines(folder / "best_of.png", panels, "best of so many samples")

    def by_metric(self) -> dict[str, list[tuple[str, list[float]]]]:
        """The rows that have a metric, by metric; only metrics that some row has."""
        found = {m: [(n, r[m]) for n, r in self.rows.items() if m in r] for m in self.labels}
        return {metric: rows for metric, rows in found.items() if rows}

    def heading(self, metric: str) -> str:
        """The name of a metric for people, and its good direction."""
        return f"{self.labels[metric]} {'↑' if self.higher_is_better[metric] else '↓'}"

    def rendered(self) -> rich.table.Table:
        """The table for a terminal."""
        drawn = f"{self.samples} samples of each of {self.clips} clips of the {self.split} split"
        title = f"The best of so many, from {drawn}"
        table = rich.table.Table("", "", title=title, box=rich.box.SIMPLE_HEAD)
        for size in self.sizes:
            table.add_column(str(size), justify="right")
        for metric, rows in self.by_metric().items():
            for index, (row, best) in enumerate(rows):
                heading = "" if index else self.heading(metric)
                table.add_row(heading, row, *(f"{value:.4g}" for value in best))
        return table
