"""One pass over a split, in which every row predicts every batch."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor

from rlvr_world.evaluation.cells import Cell, summarize
from rlvr_world.evaluation.clips import Clips, Split
from rlvr_world.evaluation.groups import Breakdown, Scores, breakdown, macro_scores
from rlvr_world.evaluation.rows import BASELINES, ModelRow, check_same_template, predictions
from rlvr_world.evaluation.scorer import NLL, Scorer
from rlvr_world.types import Batch, Prediction
from rlvr_world.video.clip_distance import TRUTH, FrechetClipDistance
from rlvr_world.video.filmstrip import Pixels, filmstrip


class Run:
    """The scores of every row, and the clips that the filmstrip shows.

    Args:
        rows: The models' rows.
        scorer: The columns.
        seeds: Predictions of each model for each clip.
        clips: Number of clips to keep for the filmstrip, evenly spaced over the first batch.
        distance: A column that compares each row's clips as a whole with the true ones.
    """

    def __init__(
        self,
        rows: Mapping[str, ModelRow],
        scorer: Scorer,
        seeds: int,
        clips: int,
        distance: FrechetClipDistance | None = None,
    ) -> None:
        self.rows, self.scorer, self.seeds, self.clips = rows, scorer, seeds, clips
        self.distance = distance
        self.scores: dict[str, dict[str, list[Tensor]]] = defaultdict(lambda: defaultdict(list))
        self.groups: list[str] = []
        self.too_long: Counter[str] = Counter()
        self.kept: dict[str, Any] | None = None
        self.batches = self.samples = 0

    def score_all(
        self, clips: Clips, split: Split, progress: Progress, most: int | None = None
    ) -> None:
        """Score every batch of a split, or its first ``most`` clips."""
        chosen = clips.batches(split) if most is None else clips.first(split, most)
        batches = clips.count(split) if most is None else len(chosen)
        rows = len(BASELINES) + len(self.rows)
        task = progress.add_task(f"scoring {split} clips", total=batches and batches * rows)
        for batch in chosen:
            for _ in self.score(batch):
                progress.advance(task)

    def score(self, batch: Batch) -> Iterator[str]:
        """Score a batch; yields the name of each row when it is done."""
        models = {name: row.model for name, row in self.rows.items()}
        codec = next(iter(models.values())).codec
        target = codec.target(batch)
        if self.batches == 0:
            check_same_template(models, batch)
            if self.clips and "frames" in batch:
                self.keep_truth(batch, target)
        if self.distance is not None:
            self.distance.add(TRUTH, target, seeds=1)
        for name, prediction, nll in predictions(self.rows, batch, self.seeds, self.batches):
            scores = self.scorer.scores(prediction, target, batch)
            if self.batches == 0 and self.kept:
                self.keep_prediction(name, prediction, scores)
            for metric, values in scores.items():
                by_seed = values if name in BASELINES else values.unflatten(0, (-1, self.seeds))
                self.scores[name][metric].append(by_seed)
            if self.distance is not None:
                self.distance.add(name, prediction, 1 if name in BASELINES else self.seeds)
            if nll is not None:
                self.scores[name][NLL].append(nll.cpu())
            yield name
        if self.scorer.scene is not None:
            self.groups += self.scorer.scene.groups(batch)
        self.too_long.update(codec.too_long(batch))
        self.batches += 1
        self.samples += len(batch["key"])

    def cells(self) -> dict[str, dict[str, Cell]]:
        """The cells of the table by row and metric."""
        macro = self.scorer.scene.macro if self.scorer.scene else {}
        cells = {
            name: summarize({**scores, **macro_scores(scores, self.groups, macro)})
            for name, scores in self.joined().items()
        }
        if self.distance is not None:
            for name, cell in self.distance.cells().items():
                cells[name][self.distance.name] = cell
        return cells

    def breakdown(self) -> Breakdown | None:
        """The scene's metrics by group, if it has groups."""
        scene = self.scorer.scene
        if scene is None or scene.grouping is None:
            return None
        return breakdown(scene.grouping, self.joined(), self.groups, list(scene.labels))

    def joined(self) -> dict[str, Scores]:
        """The scores of all batches, by row and metric."""
        return {
            name: {metric: torch.cat(parts) for metric, parts in scores.items()}
            for name, scores in self.scores.items()
        }

    def keep_truth(self, batch: Batch, target: Tensor) -> None:
        """Choose the clips of the filmstrip and keep their true frames."""
        chosen = spaced(len(target), self.clips)
        context = batch["frames"][chosen, : -target.shape[1]]
        self.kept = {
            "chosen": chosen,
            "context": context.cpu().numpy(),
            "truth": target[chosen].cpu().numpy(),
            "predictions": {},
            "notes": {},
        }

    def keep_prediction(
        self, name: str, prediction: Prediction, scores: Mapping[str, Tensor]
    ) -> None:
        """Keep a row's first prediction of the chosen clips, and what the scene says of it."""
        group = 1 if name in BASELINES else self.seeds
        chosen = [index * group for index in self.kept["chosen"]]
        self.kept["predictions"][name] = prediction[chosen].cpu().numpy()
        scene = self.scorer.scene
        if scene is not None:
            self.kept["notes"][name] = [
                scene.note({m: scores[m][index].item() for m in scene.labels if m in scores})
                for index in chosen
            ]

    def filmstrip(self) -> Pixels:
        """The picture of the chosen clips."""
        return filmstrip(*(self.kept[k] for k in ("context", "truth", "predictions", "notes")))


def spaced(count: int, chosen: int) -> list[int]:
    """At most ``chosen`` indices below ``count``, evenly spaced."""
    return sorted({int(index) for index in np.linspace(0, count - 1, min(chosen, count))})
