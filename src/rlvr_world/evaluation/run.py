"""One pass over a split, in which every row predicts every batch."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor

from rlvr_world.evaluation.columns import SetDistance
from rlvr_world.evaluation.examples import Examples, Split
from rlvr_world.evaluation.rows import BASELINES, ModelRow, check_same_template, predictions
from rlvr_world.evaluation.scorer import NLL, Scorer
from rlvr_world.evaluation.scores import cells, macro_scores, score_frame
from rlvr_world.evaluation.table import Table
from rlvr_world.types import Batch


class Run:
    """The scores of every row, and a picture of transitions evenly spaced over the first batch."""

    def __init__(
        self,
        rows: Mapping[str, ModelRow],
        scorer: Scorer,
        seeds: int,
        pictured: int,
        distance: SetDistance | None = None,
    ) -> None:
        self.rows, self.scorer, self.seeds = rows, scorer, seeds
        self.pictured, self.distance = pictured, distance
        self.picture: NDArray[np.uint8] | None = None
        self.frames: list[pd.DataFrame] = []
        self.true_features: list[Tensor] = []
        self.features: dict[str, list[Tensor]] = defaultdict(list)
        self.too_long: Counter[str] = Counter()
        self.group_sizes: Counter[str] = Counter()
        self.batches = self.samples = 0

    def score_all(
        self, examples: Examples, split: Split, progress: Progress, limit: int | None = None
    ) -> None:
        batches: Iterable[Batch] = examples.batches(split, limit)
        count = examples.count(split)
        if limit is not None:
            batches = list(batches)
            count = len(batches)
        total = count and count * (len(BASELINES) + len(self.rows))
        task = progress.add_task(f"scoring the {split} split", total=total)
        for batch in batches:
            for _ in self.score(batch):
                progress.advance(task)

    def score(self, batch: Batch) -> Iterator[str]:
        """Score a batch; yields the name of each row when it is done."""
        codec = next(iter(self.rows.values())).model.codec
        target, scene = codec.target(batch), self.scorer.scene
        groups = ["all"] * len(batch["key"]) if scene is None else scene.groups(batch)
        if self.batches == 0:
            check_same_template(self.rows, batch)
        if self.distance is not None:
            self.true_features.append(self.distance.features(target).cpu())
        drawn, notes = {}, {}
        for name, prediction, nll in predictions(self.rows, batch, self.seeds, self.batches):
            seeds = 1 if name in BASELINES else self.seeds
            scores = self.scorer.scores(prediction, target, batch)
            if self.batches == 0:
                drawn[name] = prediction[::seeds]
                notes[name] = self.notes(scores, seeds)
            if name not in BASELINES:
                scores = {metric: v.unflatten(0, (-1, seeds)) for metric, v in scores.items()}
            scores |= {} if nll is None else {NLL: nll.cpu()}
            self.frames.append(score_frame(name, scores, groups))
            if self.distance is not None:
                features = self.distance.features(prediction).cpu()
                self.features[name].append(features.unflatten(0, (-1, seeds)))
            yield name
        if self.batches == 0 and self.pictured:
            rows = spaced(len(batch["key"]), self.pictured)
            self.picture = codec.picture(batch, target, drawn, rows, notes)
        self.too_long.update(codec.too_long(batch))
        self.group_sizes.update(groups)
        self.batches += 1
        self.samples += len(batch["key"])

    def notes(self, scores: Mapping[str, Tensor], seeds: int) -> list[str]:
        scene = self.scorer.scene
        if scene is None:
            return []
        columns = {name: scores[name][::seeds].tolist() for name in scene.labels if name in scores}
        rows = zip(*columns.values(), strict=True)
        return [scene.note(dict(zip(columns, row, strict=True))) for row in rows]

    def table(self, provenance: Mapping[str, Any], seconds: dict[str, float]) -> Table:
        scores, scene, distance = pd.concat(self.frames), self.scorer.scene, self.distance
        single = macro_scores(scores, scene.macro if scene else {})
        about = dict(provenance)
        if distance is not None:
            about["labels"] = about["labels"] | {distance.name: distance.label}
            about["higher_is_better"] = about["higher_is_better"] | {distance.name: False}
        table = Table(
            **about,
            cells=cells(pd.concat([single, *self.set_scores()])),
            seeds=self.seeds,
            samples=self.samples,
            seconds=seconds,
            samplers={name: row.settings for name, row in self.rows.items()},
            too_long=dict(self.too_long),
        )
        if scene is not None and scene.grouping is not None:
            of_scene = scores[scores["metric"].isin(list(scene.labels))]
            of_scene = of_scene.sort_values("group", kind="stable")
            table.grouping, table.group_cells = scene.grouping, cells(of_scene, by=["group"])
            table.group_sizes = dict(sorted(self.group_sizes.items()))
        return table

    def set_scores(self) -> list[pd.DataFrame]:
        if self.distance is None:
            return []
        true, frames = torch.cat(self.true_features), []
        for name, parts in self.features.items():
            by_seed = torch.cat(parts).unbind(dim=1)
            values = torch.stack([self.distance.distance(part, true) for part in by_seed])
            scores = {self.distance.name: values if name in BASELINES else values[None]}
            frames.append(score_frame(name, scores, ["all"]))
        return frames


def spaced(count: int, chosen: int) -> Sequence[int]:
    """At most ``chosen`` indices below ``count``, evenly spaced."""
    return np.linspace(0, count - 1, min(chosen, count)).astype(int).tolist()
