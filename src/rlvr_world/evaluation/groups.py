"""Metrics by group of transitions, such as by game, and their means over groups."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rlvr_world.evaluation.cells import Cell, columns, numbers, summarize
from rlvr_world.evaluation.files import csv_text

Scores = Mapping[str, Tensor]
"""Each metric of every clip and seed, [clips, seeds] or [clips]."""


@dataclass
class Breakdown:
    """Some metrics by group of transitions.

    Args:
        name: What the groups are, such as ``game``.
        samples: Number of clips of each group.
        cells: Cells by group, row and metric.
    """

    name: str
    samples: dict[str, int]
    cells: dict[str, dict[str, dict[str, Cell]]]

    def csv(self, order: list[str]) -> str:
        """A line for each group and row, with the metrics in some order."""
        known = {metric for rows in self.cells.values() for row in rows.values() for metric in row}
        metrics = [metric for metric in order if metric in known]
        lines = [
            [group, self.samples[group], row, *numbers(cells, metrics)]
            for group, rows in self.cells.items()
            for row, cells in rows.items()
        ]
        return csv_text([[self.name, "clips", "row", *columns(metrics)], *lines])


def macro_scores(scores: Scores, groups: Sequence[str], macro: Mapping[str, str]) -> Scores:
    """Means of groups, [groups, seeds] or [groups], as scores whose mean is a macro average.

    Args:
        scores: The scores of a row.
        groups: The group of each clip.
        macro: For each new metric, the metric that it averages.
    """
    members = rows_of(groups).values()
    return {
        name: torch.stack([scores[metric][rows].double().nanmean(dim=0) for rows in members])
        for name, metric in macro.items()
        if metric in scores
    }


def breakdown(
    name: str, rows: Mapping[str, Scores], groups: Sequence[str], metrics: Sequence[str]
) -> Breakdown:
    """The cells of every group and row, of some metrics."""
    members = rows_of(groups)
    cells: dict[str, dict[str, dict[str, Cell]]] = {
        group: {
            row: summarize({m: scores[m][chosen] for m in metrics if m in scores})
            for row, scores in rows.items()
        }
        for group, chosen in sorted(members.items())
    }
    return Breakdown(name, {group: len(members[group]) for group in cells}, cells)


def rows_of(groups: Sequence[str]) -> dict[str, list[int]]:
    """The clips of each group."""
    members = defaultdict(list)
    for clip, group in enumerate(groups):
        members[group].append(clip)
    return dict(members)
