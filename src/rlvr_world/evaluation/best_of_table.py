"""The best of several samples as a table and a plot."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import rich.box
import rich.table

from rlvr_world.evaluation.plots import Panel, write_panels
from rlvr_world.evaluation.table import Measurement
from rlvr_world.files import write_json, write_text


@dataclass(kw_only=True)
class BestOf(Measurement):
    """What ``best_of`` measures, as it is written to ``best_of.json``.

    Args:
        best: By row and metric (the index), the mean over transitions of the best score among
            numbers of samples (the columns); a metric that applies to no transition is left out.
        samples: Number of samples drawn for each transition.
        examples: Number of transitions.
    """

    best: pd.DataFrame
    samples: int
    examples: int

    @property
    def sizes(self) -> list[int]:
        return self.best.columns.tolist()

    def save(self, folder: Path) -> None:
        rows = {
            row: {metric: best.tolist() for (_, metric), best in lines.iterrows()}
            for row, lines in self.best.groupby("row", sort=False)
        }
        write_json(folder / "best_of.json", self.plain() | {"sizes": self.sizes, "rows": rows})
        lines = pd.concat(dict(self.by_metric()), names=["metric"])
        write_text(folder / "best_of.csv", lines.add_prefix("best of ").to_csv())
        panels = []
        for metric, by_row in self.by_metric():
            best = {row: (self.sizes, values) for row, *values in by_row.itertuples()}
            panels.append(Panel(self.heading(metric), "best of so many samples", best, True))
        write_panels(folder / "best_of.png", panels)

    def by_metric(self) -> Iterator[tuple[str, pd.DataFrame]]:
        metrics = self.best.index.get_level_values("metric")
        for metric in self.labels:
            if metric in metrics:
                yield metric, self.best.xs(metric, level="metric")

    def rendered(self) -> rich.table.Table:
        title = (
            f"The best of so many, from {self.samples} samples of each of {self.examples} "
            f"transitions of the {self.split} split"
        )
        table = rich.table.Table("", "", title=title, box=rich.box.SIMPLE_HEAD)
        for size in self.sizes:
            table.add_column(str(size), justify="right")
        for metric, lines in self.by_metric():
            heading = self.heading(metric)
            for row, *best in lines.itertuples():
                table.add_row(heading, row, *(f"{value:.4g}" for value in best))
                heading = ""
        return table
