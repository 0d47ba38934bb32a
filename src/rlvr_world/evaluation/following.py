"""The command ``action-following``: does a prediction belong to its own action, or to any?"""

import copy
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.console import Console
from torch import Tensor

from rlvr_world.codec import Codec
from rlvr_world.evaluation.comparison import Comparison
from rlvr_world.evaluation.rows import predictions
from rlvr_world.evaluation.table import Table, cells, score_frame
from rlvr_world.jobs import progress_bar
from rlvr_world.types import Batch, Prediction

PAIRS, TIES = "pairs", "ties"

Crossed = dict[tuple[str, str], dict[str, Tensor]]
"""Scores by the kind of action of a prediction and that of a truth, then by metric."""


class Following:
    """Scores of the same starts that go on with several actions.

    Args:
        compared: The rows and the columns.
        seeds: Number of predictions sampled for each transition.
    """

    def __init__(self, compared: Comparison, seeds: int) -> None:
        self.rows, self.scorer, self.seeds = compared.rows, compared.scorer, seeds
        self.better = self.scorer.higher_is_better
        self.frames: list[pd.DataFrame] = []
        self.batches = self.samples = 0

    def score(self, batches: Mapping[str, Batch]) -> Iterator[str]:
        """Score batches of the same transitions by kind of action; yields each finished row."""
        codec = next(iter(self.rows.values())).model.codec
        targets = {kind: codec.target(batch) for kind, batch in batches.items()}
        perfect = {kind: perfect_prediction(codec, batch) for kind, batch in batches.items()}
        truths = self.crossed(perfect, targets, batches)
        by_kind = [
            predictions(self.rows, batch, self.seeds, self.batches) for batch in batches.values()
        ]
        for drawn in zip(*by_kind, strict=True):
            row = drawn[0].name
            states = {kind: each.states for kind, each in zip(batches, drawn, strict=True)}
            scores = self.columns(self.crossed(states, targets, batches), truths)
            if not drawn[0].is_certain:
                scores = {name: v.unflatten(0, (-1, self.seeds)) for name, v in scores.items()}
            count = len(next(iter(batches.values()))["key"])
            self.frames.append(score_frame(row, scores, ["all"] * count))
            yield row
        self.batches += 1
        self.samples += count

    def crossed(
        self,
        states: Mapping[str, Prediction],
        targets: Mapping[str, Prediction],
        batches: Mapping[str, Batch],
    ) -> Crossed:
        """The scores of states for one kind of action against the truth of each."""
        return {
            (kind, other): self.scorer.scores(states[kind], targets[other], batches[other])
            for kind, other in product(batches, repeat=2)
        }

    def columns(self, scores: Crossed, truths: Crossed) -> dict[str, Tensor]:
        """Each metric of each kind of action, and the share of pairs, [B * G]."""
        columns, ties = {}, defaultdict[str, list[Tensor]](list)
        nearer = defaultdict[str, list[Tensor]](list)
        for (kind, other), crossed in scores.items():
            own, true = scores[kind, kind], truths[kind, kind]
            for name, values in own.items():
                if kind == other:
                    columns[f"{name}/{kind}"] = values
                    continue
                truth = truths[kind, other][name]
                told = (truth != true[name]) & truth.isfinite() & true[name].isfinite()
                wins = is_nearer(values, crossed[name], self.better[name])
                ruled_out = ~told.repeat_interleave(len(values) // len(told))
                nearer[name].append(wins.masked_fill(ruled_out, torch.nan))
                ties[name].append(wins.isnan().double().masked_fill(ruled_out, torch.nan))
        shares = {PAIRS: nearer, TIES: ties}
        pairs = {
            f"{share}/{name}": torch.stack(each).nanmean(dim=0)
            for share, by_metric in shares.items()
            for name, each in by_metric.items()
        }
        return pairs | columns

    def table(self, provenance: Mapping[str, Any], kinds: Iterable[str]) -> Table:
        """Pairs first, then each metric by kind of action."""
        about, scored = dict(provenance), cells(pd.concat(self.frames))
        columns = {}
        for name, label in self.scorer.labels.items():
            columns[f"{PAIRS}/{name}"] = f"nearer to its own by {label}", True
            columns[f"{TIES}/{name}"] = f"as near to both by {label}", False
            for kind in kinds:
                columns[f"{name}/{kind}"] = f"{label}, {kind}", self.better[name]
        most = scored.groupby("metric")["mean"].max()
        known = [n for n in columns if n in most and (most[n] > 0 or not n.startswith(TIES))]
        known.sort(key=lambda name: not name.startswith((PAIRS, TIES)))
        about["labels"] = {name: columns[name][0] for name in known}
        about["higher_is_better"] = {name: columns[name][1] for name in known}
        about["samplers"] = {name: row.settings for name, row in self.rows.items()}
        return Table(**about, cells=scored, seeds=self.seeds, samples=self.samples)


def is_nearer(own: Tensor, other: Tensor, higher_is_better: bool) -> Tensor:
    """1 where a prediction scores better against its own truth than against another, else 0.

    NaN for equal scores; 0 where it has none, as a prediction that lost the object.
    """
    gain = (own - other) if higher_is_better else (other - own)
    return (gain > 0).double().masked_fill(gain == 0, torch.nan)


def perfect_prediction(codec: Codec, batch: Batch) -> Prediction:
    """The true next states as a prediction that a metric can read."""
    return codec.target(batch) if codec.is_lossy else codec.decode(codec.encode(batch))


def action_following(
    output: Path,
    splits: dict[str, str],
    seeds: int = 3,
    limit: int | None = None,
    **comparison: Any,
) -> Table:
    """Score predictions of the same starts with several actions, each against every truth.

    Writes table.json and table.csv. ``pairs`` is the share of pairs of actions in which a
    prediction is nearer to the truth of its own action than to that of the other one: one half is
    chance, and what a copy of the last state gets. A pair that the metric cannot tell apart is left
    out, and so are predictions as near to both; ``ties`` is their share, where there are any. Each
    metric follows by kind of action. The data of videos comes from `data counterfactual`; a
    ``TransitionPairs`` makes that of text games and pages from the steps of a test split.

    Args:
        output: Folder for the table.
        splits: The kinds of action, such as ``recorded`` and ``swapped``: the split of each. Their
            samples start alike, under the same keys.
        seeds: Number of predictions sampled for each transition.
        limit: Score only so many transitions of each split, the first ones; all if not given.
        **comparison: See ``Comparison``.
    """
    if len(splits) < 2:
        raise ValueError("splits: give at least two kinds of action")
    compared, console = Comparison(**comparison), Console()
    if not hasattr(compared.data, "test_split"):
        raise ValueError(f"data: {type(compared.data).__name__} has no test_split to choose")
    following, streams = Following(compared, seeds), []
    for split in splits.values():
        part = copy.copy(compared)
        part.data = copy.copy(compared.data)
        part.data.test_split = split
        streams.append(part.batches("test", limit))
    with torch.no_grad(), progress_bar(console) as progress:
        task = progress.add_task("scoring the actions", total=None)
        for parts in zip(*streams, strict=True):
            batches = dict(zip(splits, parts, strict=True))
            if len({tuple(batch["key"]) for batch in parts}) > 1:
                raise ValueError("splits: their samples must have the same keys in the same order")
            for _ in following.score(batches):
                progress.advance(task)
    provenance = compared.provenance("test") | {"split": " and ".join(splits.values())}
    table = following.table(provenance, splits)
    table.save(output)
    console.print(table.rendered(console.width))
    return table
