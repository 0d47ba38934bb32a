"""The table of policies in worlds."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from rlvr_world.evaluation.table import Table
from rlvr_world.files import write_text

LABELS = {
    "success": "success %",
    "difference": "mean difference, points",
    "correlation": "correlation",
    "rank_violation": "mean max. rank violation, points",
    "verdict": "verdict right %",
}
HIGHER = {name: name in ("success", "correlation", "verdict") for name in LABELS}


@dataclass(kw_only=True)
class PolicyTable(Table):
    """A table of worlds, with the ends of 95 % intervals by row and measure.

    ``classifier`` says by task how often the classifier is right on final frames of real rollouts
    that it was not trained on.
    """

    intervals: dict[str, dict[str, list[float | None]]] = field(default_factory=dict)
    classifier: dict[str, dict[str, float]] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        super().save(folder)
        write_text(folder / "table.md", self.markdown())

    def markdown(self) -> str:
        """Success by policy, agreement with intervals, and the classifier's accuracy."""
        groups = list(self.group_sizes)
        assert self.group_cells is not None
        success = self.group_cells.xs("success", level="metric")["mean"].unstack("group")
        parts = [lines(["success %", *groups], success[groups], "{:.0f}")]
        measures = [name for name in LABELS if name != "success"]
        rows = [["against `real`", *map(self.heading, measures)]]
        for row in self.cells.index.unique("row"):
            rows.append([f"`{row}`", *(self.cell(row, name) for name in measures)])
        parts.append(markdown_rows(rows))
        rows = [["classifier", "accuracy %", "balanced %", "successes", "rollouts"]]
        for task, values in self.classifier.items():
            rows.append([task, *(f"{value:.4g}" for value in values.values())])
        return "\n".join([*parts, markdown_rows(rows)])

    def cell(self, row: str, name: str) -> str:
        """A mean with its interval, or a dash."""
        if (row, name) not in self.cells.index:
            return "-"
        text = f"{self.cells.loc[(row, name), 'mean']:.3g}"
        ends = self.intervals.get(row, {}).get(name)
        return text if ends is None or None in ends else f"{text} ({ends[0]:.3g} to {ends[1]:.3g})"


def lines(header: list[str], frame: pd.DataFrame, form: str) -> str:
    """A frame as a table of Markdown, with its index in the first column."""
    body: list[list[Any]] = [
        [f"`{row}`", *(form.format(value) for value in values)]
        for row, values in zip(frame.index, frame.to_numpy(), strict=True)
    ]
    return markdown_rows([header, *body])


def markdown_rows(rows: list[list[str]]) -> str:
    """Rows, the first of which is the header, as a table of Markdown."""
    rows = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
