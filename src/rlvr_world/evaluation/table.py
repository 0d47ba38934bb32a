"""Tables of metrics: rows are models and baselines, cells are means of scores over a split."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rich.box
import rich.console
import rich.table
from torch import Tensor

from rlvr_world.files import write_json, write_text

EXACT = -1
"""The seed of a score that does not depend on one."""

NAME_WIDTH, CELL_WIDTH = 22, 19  # characters in a terminal, with the space between columns


def score_frame(row: str, scores: Mapping[str, Tensor], groups: Sequence[str]) -> pd.DataFrame:
    """The scores of one row by ``row``, ``metric``, ``group``, ``seed`` and ``value`` (columns).

    ``scores`` has each metric of N transitions and all seeds, [N, seeds], or [N] where no seed
    matters, NaN where it does not apply; ``groups`` the group of each transition.
    """
    frames = []
    for metric, values in scores.items():
        seeds = np.arange(values.shape[1]) if values.ndim > 1 else np.array([EXACT])
        columns = {
            "row": row,
            "metric": metric,
            "group": np.repeat(np.asarray(groups, object), len(seeds)),
            "seed": np.tile(seeds, len(values)),
            "value": values.double().flatten().numpy(),
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def macro_scores(scores: pd.DataFrame, macro: Mapping[str, str]) -> pd.DataFrame:
    """Scores and, for each new metric, the means of another one over groups, which count alike."""
    frames = [scores]
    for name, metric in macro.items():
        of_metric = scores[scores["metric"] == metric]
        means = of_metric.groupby(["row", "group", "seed"], sort=False)["value"].mean()
        frames.append(means.reset_index().assign(metric=name))
    return pd.concat(frames, ignore_index=True)


def cells(scores: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """The cells of a table, from what ``score_frame`` returns: means over transitions.

    For each of ``by`` (such as ``group``), row and metric (the index), the mean over transitions of
    each seed, then their ``mean`` and standard deviation ``std`` (n - 1) over seeds: 0 where no
    seed matters, NaN with a single one. A metric that applies to no transition is left out.
    """
    keys = [*by, "row", "metric"]
    seeds = scores.groupby([*keys, "seed"], sort=False)["value"].mean().reset_index("seed")
    found = seeds.groupby(keys, sort=False).agg(
        mean=("value", "mean"), std=("value", "std"), seed=("seed", "max")
    )
    found["std"] = found["std"].mask(found.pop("seed") == EXACT, 0.0)
    found = found.dropna(subset="mean")
    return found.set_axis(found.index.remove_unused_levels())  # unstack would count them


def nested(cells: pd.DataFrame) -> dict[str, Any]:
    """Cells as plain data, ``[mean, std]`` by each level of their index; None for NaN."""
    if cells.index.nlevels > 1:
        outer = cells.index.get_level_values(0).unique()
        return {str(key): nested(cells.loc[key]) for key in outer}
    return {
        str(metric): [None if math.isnan(value) else value for value in values]
        for metric, values in zip(cells.index, cells.to_numpy().tolist(), strict=True)
    }


def spread(cells: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Cells with their metrics side by side, under ``<metric> mean`` and ``<metric> std``.

    A cell that does not exist is NaN.
    """
    wide = cells.unstack("metric", sort=False)
    pairs = [(part, metric) for metric in metrics for part in ("mean", "std")]
    wide = wide.reindex(columns=pd.MultiIndex.from_tuples(pairs))
    return wide.set_axis([f"{metric} {part}" for part, metric in pairs], axis="columns")


@dataclass(kw_only=True)
class Measurement:
    """What every table says: its columns, and what was measured with what.

    ``labels`` are headings by metric, in the order of the columns; ``data`` is a fingerprint,
    ``checkpoints`` are by row, and ``rewards`` the weights of the terms of the column ``reward``.
    """

    labels: dict[str, str]
    higher_is_better: dict[str, bool]
    split: str
    commit: str | None
    device: str
    data: str | None = None
    checkpoints: dict[str, str] = field(default_factory=dict)
    rewards: dict[str, float] = field(default_factory=dict)

    def heading(self, metric: str) -> str:
        return f"{self.labels[metric]} {'↑' if self.higher_is_better[metric] else '↓'}"

    def plain(self) -> dict[str, Any]:
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: v for name, v in values.items() if not isinstance(v, pd.DataFrame)}


@dataclass(kw_only=True)
class Table(Measurement):
    """What ``evaluate`` measures, as it is written to ``table.json``.

    ``cells`` are by row and metric, see ``cells()``; ``group_cells`` by group, row and metric,
    where ``grouping`` is what groups are, such as ``game``; ``group_sizes`` and ``samples`` count
    transitions. ``seconds`` are those of the stages of training. ``too_long`` counts the
    transitions that are left out since their prompts are too long, and those whose answers or
    other parts the codec cut. ``decomposition`` says of rows of RLVR models what their gain is.
    """

    cells: pd.DataFrame
    seeds: int
    samples: int
    seconds: dict[str, float] = field(default_factory=dict)
    samplers: dict[str, dict[str, Any]] = field(default_factory=dict)
    grouping: str | None = None
    group_cells: pd.DataFrame | None = None
    group_sizes: dict[str, int] = field(default_factory=dict)
    too_long: dict[str, int] = field(default_factory=dict)
    decomposition: dict[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        plain = self.plain()
        name, sizes = plain.pop("grouping"), plain.pop("group_sizes")
        plain.pop("group_cells", None)
        groups = None
        if self.group_cells is not None:
            groups = {"name": name, "samples": sizes, "cells": nested(self.group_cells)}
            write_text(folder / f"by_{name}.csv", self.group_csv(self.group_cells))
        rows = {"rows": nested(self.cells), "breakdown": groups}
        write_json(folder / "table.json", plain | rows)
        write_text(folder / "table.csv", spread(self.cells, list(self.labels)).to_csv())

    def group_csv(self, cells: pd.DataFrame) -> str:
        known = cells.index.unique("metric")
        wide = spread(cells, [metric for metric in self.labels if metric in known]).reset_index()
        wide.insert(1, "samples", wide["group"].map(self.group_sizes))
        return wide.rename(columns={"group": self.grouping}).to_csv(index=False)

    def rendered(self, width: int = 80) -> rich.console.Group:
        metrics, fit = list(self.labels), max(1, (width - NAME_WIDTH) // CELL_WIDTH)
        blocks = [metrics[start : start + fit] for start in range(0, len(metrics), fit)]
        title = (
            f"{self.samples} transitions of the {self.split} split, mean ± std over "
            f"{self.seeds} sampling seeds, {self.device}"
        )
        parts = [f"{count} {part}s" for part, count in self.too_long.items()]
        said = f"Too long for the codec: {', '.join(parts)}. Such prompts are left out."
        cut = [said] if parts else []
        return rich.console.Group(
            title, *map(self.block, blocks), *cut, *self.decomposition.values()
        )

    def block(self, metrics: list[str]) -> rich.table.Table:
        table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
        table.add_column("", min_width=NAME_WIDTH - 4, no_wrap=True)
        for metric in metrics:
            table.add_column(self.heading(metric), justify="right", min_width=CELL_WIDTH - 2)
        wide = spread(self.cells, metrics)
        for row, values in zip(wide.index, wide.to_numpy().tolist(), strict=True):
            pairs = zip(values[::2], values[1::2], strict=True)
            table.add_row(row, *(cell_text(mean, std) for mean, std in pairs))
        return table


def cell_text(mean: float, std: float) -> str:
    """A cell as text: 4 digits of the mean, 1 of the standard deviation; NaN stands for neither."""
    if math.isnan(mean):
        return "-"
    return f"{mean:.4g}" if math.isnan(std) or std == 0 else f"{mean:.4g} ± {std:.1g}"
