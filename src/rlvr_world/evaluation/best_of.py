"""The command ``best-of``: what the best of several samples reaches (test-time scaling)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Any

import pandas as pd
import rich.box
import rich.table
import torch
from rich.console import Console
from torch import Tensor

from rlvr_world.evaluation.columns import Scorer
from rlvr_world.evaluation.comparison import Comparison, Split
from rlvr_world.evaluation.plots import Panel, figure_class, write_panels
from rlvr_world.evaluation.rows import ModelRow
from rlvr_world.evaluation.table import Measurement
from rlvr_world.files import write_json, write_text
from rlvr_world.jobs import progress_bar
from rlvr_world.types import Batch


@dataclass(kw_only=True)
class BestOf(Measurement):
    """What ``best_of`` measures, as it is written to ``best_of.json``.

    ``best`` has, by row and metric (the index), the mean over ``examples`` transitions of the best
    score among numbers of samples (the columns), of ``samples`` drawn for each; a metric that
    applies to no transition is left out.
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


def expected_best(scores: Tensor, size: int, higher_is_better: bool) -> Tensor:
    """The mean, over all choices of ``size`` among N samples, of the best one's score.

    It is an unbiased estimate of the best of ``size`` new samples, and varies less than the best of
    the first ones: with scores sorted from worst to best, the i-th is the best of a choice in
    C(i - 1, size - 1) of C(N, size) cases.

    ``scores`` are [..., N], ``size`` is from 1 to N. Returns [...] float64; NaN where a score is.
    """
    count = scores.shape[-1]
    if not 1 <= size <= count:
        raise ValueError(f"the best of {size} cannot be estimated from {count} samples")
    weights = [comb(i, size - 1) / comb(count, size) for i in range(count)]
    ordered = scores.double().sort(dim=-1, descending=not higher_is_better).values
    return ordered @ torch.tensor(weights, dtype=torch.float64, device=scores.device)


@dataclass(frozen=True)
class Draws:
    """How many samples of how many transitions are drawn, and which numbers of them are compared.

    Args:
        sizes: Numbers of samples that the best is taken of.
        samples: Number of samples drawn for each transition, at least the largest of ``sizes``.
        at_once: The most samples of a transition that are drawn and decoded at once.
        limit: Number of transitions, the first ones of the split.
    """

    sizes: tuple[int, ...] = (1, 5, 10, 50, 100)
    samples: int = 100
    at_once: int = 20
    limit: int = 100

    def __post_init__(self) -> None:
        if not self.sizes or min(*self.sizes, self.at_once, self.limit) < 1:
            raise ValueError("draws: sizes, at_once and limit must be at least 1")
        if max(self.sizes) > self.samples:
            raise ValueError(
                f"draws: the best of {max(self.sizes)} needs as many samples, got {self.samples}"
            )

    def scores(self, row: ModelRow, batch: Batch, scorer: Scorer, seed: int) -> dict[str, Tensor]:
        """Each metric of every sample of B transitions, [B, samples]."""
        target = row.model.codec.target(batch)
        generator, rounds = row.generator(seed), []
        for start in range(0, self.samples, self.at_once):
            count = min(self.at_once, self.samples - start)
            scores = scorer.scores(row.predict(batch, count, generator), target, batch)
            rounds.append({name: drawn.unflatten(0, (-1, count)) for name, drawn in scores.items()})
        return {name: torch.cat([each[name] for each in rounds], dim=1) for name in rounds[0]}

    def means(
        self, scores: Sequence[Mapping[str, Tensor]], higher_is_better: Mapping[str, bool]
    ) -> pd.DataFrame:
        """The mean over transitions of the best score, by metric that applies (index) and size."""
        means = {}
        for name in scores[0]:
            joined = torch.cat([batch[name] for batch in scores])  # [transitions, samples]
            applies = joined[~joined.isnan().any(dim=1)]
            if len(applies):
                best = (expected_best(applies, n, higher_is_better[name]) for n in self.sizes)
                means[name] = [values.mean().item() for values in best]
        return pd.DataFrame.from_dict(means, orient="index", columns=list(self.sizes))


def best_of(
    output: Path, split: Split = "test", draws: Draws = Draws(), **comparison: Any
) -> BestOf:
    """Measure what the best of 1, 5, 10 ... samples reaches, by each metric for itself.

    Writes best_of.json, best_of.csv and best_of.png. The truth chooses the best one, so this is
    what a perfect choice among samples would give. For each transition it is the mean over all
    choices of so many of its samples, which is unbiased; the table has the mean over transitions.

    Args:
        output: Folder for the table and the plot.
        split: The split to score.
        draws: How many samples and transitions.
        **comparison: See ``Comparison``.
    """
    figure_class()
    compared, console = Comparison(tune=None, **comparison), Console()
    scorer, batches = compared.scorer, list(compared.batches(split, draws.limit))
    rows = {}
    with torch.no_grad(), progress_bar(console) as progress:
        for name, row in compared.rows.items():
            tracked = progress.track(list(enumerate(batches)), description=f"drawing from {name}")
            scores = [draws.scores(row, batch, scorer, seed) for seed, batch in tracked]
            rows[name] = draws.means(scores, scorer.higher_is_better)
    table = BestOf(
        **compared.provenance(split),
        best=pd.concat(rows, names=["row", "metric"]),
        samples=draws.samples,
        examples=sum(len(batch["key"]) for batch in batches),
    )
    table.save(output)
    console.print(table.rendered())
    return table
