"""The command ``evaluate``: one table and one picture for baselines and checkpoints."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from rlvr_world.evaluation.columns import NLL, Scorer, SetDistance
from rlvr_world.evaluation.comparison import Comparison, Split
from rlvr_world.evaluation.decomposition import decomposition
from rlvr_world.evaluation.rows import BASELINES, ModelRow, check_same_template, predictions
from rlvr_world.evaluation.table import Table, cells, macro_scores, score_frame
from rlvr_world.files import whole
from rlvr_world.jobs import progress_bar
from rlvr_world.modules.minimum_bayes_risk import MinimumBayesRisk
from rlvr_world.modules.prediction_rule import PredictionRule
from rlvr_world.rl.sampler import Sampler
from rlvr_world.types import Batch


@dataclass(frozen=True)
class TunedRow:
    """A row that samples with the settings that are best on validation.

    Args:
        of: The row whose checkpoint it shares.
        mbr: Take of so many predictions the one that is best against the others, see
            ``MinimumBayesRisk``; if not given, single predictions are sampled.
    """

    of: str
    mbr: int | None = None

    @property
    def sampler(self) -> Sampler | PredictionRule:
        return Sampler() if self.mbr is None else MinimumBayesRisk(self.mbr)


@dataclass
class SamplerSearch:
    """A grid of sampler settings, searched for the highest training reward.

    Args:
        temperatures: Temperatures to try; 0 takes the most likely token and needs no top-k.
        top_ks: Values of top-k to try; null draws from all tokens.
        limit: Number of validation transitions that each setting is tried on, the first ones.
    """

    temperatures: list[float] = field(default_factory=lambda: [0.0, 0.3, 0.5, 0.7, 0.85, 1.0])
    top_ks: list[int | None] = field(default_factory=lambda: [None, 2, 5, 20])
    limit: int = 128

    def __post_init__(self) -> None:
        if not (self.temperatures and self.top_ks and self.limit > 0):
            raise ValueError(
                "search: temperatures and top_ks must not be empty, limit must be at least 1"
            )
        if min(self.temperatures) < 0:
            raise ValueError(f"search: no temperature is below 0, got {self.temperatures}")

    def samplers(self, kind: Sampler | PredictionRule) -> list[Any]:
        """A sampler of some kind at each setting.

        A minimum Bayes risk, of which each prediction costs many, is tried at the temperatures
        above 0 alone.
        """
        warm = [t for t in self.temperatures if t > 0]
        if isinstance(kind, MinimumBayesRisk):
            if not warm:
                raise ValueError("search: MinimumBayesRisk needs a temperature above 0")
            return [kind.at(t, None) for t in warm]
        greedy = [kind.at(0.0, None)] if 0 in self.temperatures else []
        return greedy + [kind.at(t, k) for t in warm for k in self.top_ks]

    def best(self, row: ModelRow, compared: Comparison, progress: Progress) -> ModelRow:
        """The row with the settings that have the highest mean reward of one prediction each."""
        scorer, batches = compared.scorer, list(compared.batches("val", self.limit))
        rows = [replace(row, sampler=sampler) for sampler in self.samplers(row.sampler)]
        tracked = progress.track(rows, description="tuning the sampler")
        return max(tracked, key=lambda each: mean_reward(each, batches, scorer))


def mean_reward(row: ModelRow, batches: list[Batch], scorer: Scorer) -> float:
    """The mean training reward over transitions of one sampled prediction each."""
    rewards, codec = [], row.model.codec
    for seed, batch in enumerate(batches):
        prediction = row.predict(batch, 1, row.generator(seed))
        rewards.append(scorer.reward(prediction, codec.target(batch), batch))
    return torch.cat(rewards).mean().item()


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
        self, compared: Comparison, split: Split, progress: Progress, limit: int | None = None
    ) -> None:
        batches: Iterable[Batch] = compared.batches(split, limit)
        count = compared.count(split)
        if limit is not None:
            batches = list(batches)
            count = len(batches)
        total = count and count * (len(BASELINES) + len(self.rows))
        task = progress.add_task(f"scoring the {split} split", total=total)
        for batch in batches:
            for _ in self.score(batch):
                progress.advance(task)
        if compared.left_out:
            self.too_long["prompt"] += compared.left_out

    def score(self, batch: Batch) -> Iterator[str]:
        """Score a batch; yields the name of each row when it is done."""
        codec = next(iter(self.rows.values())).model.codec
        target, scene = codec.target(batch), self.scorer.scene
        groups = ["all"] * len(batch["key"]) if scene is None else scene.groups(batch)
        if self.batches == 0:
            check_same_template(self.rows, batch)
        if self.distance is not None:
            self.true_features.append(self.distance.features(target).cpu())
        for name, known in (scene.references(batch, target) if scene else {}).items():
            self.frames.append(score_frame(name, known, groups))
        drawn, notes = {}, {}
        for row in predictions(self.rows, batch, self.seeds, self.batches):
            name, prediction = row.name, row.states
            seeds = 1 if row.is_certain else self.seeds
            scores = self.scorer.scores(prediction, target, batch)
            if self.batches == 0:
                drawn[name] = prediction[::seeds]
                notes[name] = self.notes(scores, seeds)
            if not row.is_certain:
                scores = {metric: v.unflatten(0, (-1, seeds)) for metric, v in scores.items()}
            scores |= {} if row.nll is None else {NLL: row.nll.cpu()}
            self.frames.append(score_frame(name, scores, groups))
            if self.distance is not None:
                features = self.distance.features(prediction).cpu()
                self.features[name].append(features.unflatten(0, (-1, seeds)))
            yield name
        if self.batches == 0 and self.pictured:
            count = len(batch["key"])
            rows = np.linspace(0, count - 1, min(self.pictured, count)).astype(int).tolist()
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
        table.decomposition = decomposition(self.rows, table.cells)
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
            is_certain = name in BASELINES or self.rows[name].sampler.is_certain
            scores = {self.distance.name: values if is_certain else values[None]}
            frames.append(score_frame(name, scores, ["all"]))
        return frames


def rehearse(run: Run, compared: Comparison, split: Split, output: Path) -> None:
    """Take one transition through all that follows a search, so that faults show before it.

    Raises:
        OSError: Nothing can be written into ``output``.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=output).close()
    except OSError as error:
        raise OSError(
            f"output: {output} cannot be written to ({error.strerror}); choose another"
        ) from error
    for batch in compared.batches(split, 1):
        for _ in run.score(batch):
            pass


def evaluate(
    output: Path,
    distance: SetDistance | None = None,
    split: Split = "test",
    seeds: int = 3,
    limit: int | None = None,
    tune: dict[str, str | TunedRow] | None = None,
    search: SamplerSearch = SamplerSearch(),  # noqa: B008
    pictured: int = 4,
    seconds: dict[str, float] | None = None,
    **comparison: Any,
) -> Table:
    """Score checkpoints and baselines on all transitions of a split.

    Writes table.json, table.csv and, if the codec draws, predictions.png; where the scene has
    groups, such as games, also by_<group>.csv. The rows copy_last (the last given state) and, for a
    lossy codec, reconstruction (the truth through the tokenizer) come first. Each cell is the mean
    over transitions, with the standard deviation of that mean over sampling seeds.

    Args:
        output: Folder for the table and the picture.
        distance: A column that compares a row's predictions as a set with the true states.
        split: The split to score.
        seeds: Number of predictions sampled for each transition.
        limit: Score only so many transitions of the split, the first ones; all if not given.
        tune: Extra rows by name: each shares the checkpoint of the row that it names, and samples
            with the settings that have the best reward on the val split.
        search: The settings that ``tune`` chooses from.
        pictured: Number of transitions in the picture.
        seconds: Durations of the stages of training, to be written into the table.
        **comparison: See ``Comparison``.
    """
    for setting, number in {"seeds": seeds, "limit": limit}.items():
        if number is not None and number < 1:
            raise ValueError(f"{setting} must be at least 1, got {number}")
    extra = {
        name: TunedRow(row) if isinstance(row, str) else row for name, row in (tune or {}).items()
    }
    bases = {name: row.of for name, row in extra.items()}
    compared, console = Comparison(tune=bases, **comparison), Console()
    rows = {}
    with torch.no_grad(), progress_bar(console) as progress:
        if extra:
            rehearse(Run(compared.rows, compared.scorer, 1, 1, distance), compared, split, output)
            for tuned_row in extra.values():
                search.samplers(tuned_row.sampler)
        for name, row in compared.rows.items():
            rows[name] = row
            for tuned in (new for new, base in bases.items() if base == name):
                kind = replace(row, sampler=extra[tuned].sampler)
                rows[tuned] = search.best(kind, compared, progress)
        compared.rows = rows
        run = Run(rows, compared.scorer, seeds, pictured, distance)
        run.score_all(compared, split, progress, limit)
        table = run.table(compared.provenance(split), seconds or {})
    table.save(output)
    if run.picture is not None:
        with whole(output / "predictions.png") as unfinished:
            Image.fromarray(run.picture).save(unfinished, format="PNG")
    console.print(table.rendered(console.width))
    return table
