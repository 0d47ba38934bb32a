"""Scores of single predictions in one long frame, and their means: the cells of a table."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

EXACT = -1
"""The seed of a score that does not depend on one."""


def score_frame(row: str, scores: Mapping[str, Tensor], groups: Sequence[str]) -> pd.DataFrame:
    """The scores of one row for N transitions, a line for each score.

    Args:
        row: The name of the row.
        scores: Each metric of every transition and seed, [N, seeds], or [N] where no seed matters;
            NaN where the metric does not apply.
        groups: The group of each transition.

    Returns:
        The columns ``row``, ``metric``, ``group``, ``seed`` and ``value``.
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
    """The cells of a table: means over transitions.

    Args:
        scores: What ``score_frame`` returns.
        by: Further columns that each have cells of their own, such as ``group``.

    Returns:
        For each of ``by``, row and metric (the index), the mean over transitions of each seed, then
        their ``mean`` and standard deviation ``std`` (n - 1) over seeds: 0 where no seed matters,
        NaN with a single one. A metric that applies to no transition is left out.
    """
    keys = [*by, "row", "metric"]
    seeds = scores.groupby([*keys, "seed"], sort=False)["value"].mean().reset_index("seed")
    found = seeds.groupby(keys, sort=False).agg(
        mean=("value", "mean"), std=("value", "std"), seed=("seed", "max")
    )
    found["std"] = found["std"].mask(found.pop("seed") == EXACT, 0.0)
    return found.dropna(subset="mean")


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
