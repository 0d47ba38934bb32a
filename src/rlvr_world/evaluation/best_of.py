"""The command ``best-of``: what the best of several samples reaches (test-time scaling)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning import LightningDataModule
from rich.console import Console
from torch import Tensor

from rlvr_world.evaluation.best_of_table import BestOf
from rlvr_world.evaluation.clips import Clips, Split
from rlvr_world.evaluation.evaluate import check_names, default_device, device_name, progress_bar
from rlvr_world.evaluation.order_statistics import expected_best
from rlvr_world.evaluation.plots import figure_class
from rlvr_world.evaluation.rows import ModelRow, load_models
from rlvr_world.evaluation.scene import SceneMetrics
from rlvr_world.evaluation.scorer import Scorer
from rlvr_world.modules.stage import code_commit
from rlvr_world.reward import Reward
from rlvr_world.rl.sampler import Sampler
from rlvr_world.types import Batch


@dataclass(frozen=True)
class Draws:
    """How many samples of how many clips are drawn, and which numbers of them are compared.

    Args:
        sizes: Numbers of samples that the best is taken of.
        samples: Number of samples drawn for each clip, at least the largest of ``sizes``.
        at_once: The most samples of a clip that are drawn and decoded at once.
        clips: Number of clips, the first ones of the split.
    """

    sizes: tuple[int, ...] = (1, 5, 10, 50, 100)
    samples: int = 100
    at_once: int = 20
    clips: int = 100

    def __post_init__(self) -> None:
        if not self.sizes or min(*self.sizes, self.at_once, self.clips) < 1:
            raise ValueError("draws: sizes, at_once and clips must be at least 1")
        if max(self.sizes) > self.samples:
            raise ValueError(
                f"draws: the best of {max(self.sizes)} needs as many samples, got {self.samples}"
            )

    def scores(self, row: ModelRow, batch: Batch, scorer: Scorer, seed: int) -> dict[str, Tensor]:
        """Each metric of every sample of B clips, [B, samples]."""
        codec = row.model.codec
        template, target = codec.template(batch), codec.target(batch)
        generator = torch.Generator(row.model.device).manual_seed(seed)
        rounds = []
        for start in range(0, self.samples, self.at_once):
            count = min(self.at_once, self.samples - start)
            prediction = row.predict(template, count, generator)
            scores = scorer.scores(prediction, target, batch)
            rounds.append({name: found.unflatten(0, (-1, count)) for name, found in scores.items()})
        return {name: torch.cat([each[name] for each in rounds], dim=1) for name in rounds[0]}

    def means(
        self, scores: Sequence[Mapping[str, Tensor]], higher_is_better: Mapping[str, bool]
    ) -> dict[str, list[float]]:
        """The mean over clips of the best score for each size, from the scores of all batches."""
        means = {}
        for name in scores[0]:
            joined = torch.cat([batch[name] for batch in scores])  # [clips, samples]
            applies = joined[~joined.isnan().any(dim=1)]
            if len(applies):
                best = (expected_best(applies, n, higher_is_better[name]) for n in self.sizes)
                means[name] = [values.mean().item() for values in best]
        return means


@torch.no_grad()
def best_of(
    data: LightningDataModule,
    models: dict[str, Path],
    metrics: dict[str, Reward],
    rewards: dict[str, Reward],
    output: Path,
    scene: SceneMetrics | None = None,
    split: Split = "test",
    draws: Draws = Draws(),
    samplers: dict[str, Sampler] | None = None,
    device: str = "auto",
) -> BestOf:
    """Measure what the best of 1, 5, 10 ... samples reaches, by each metric for itself.

    Writes best_of.json, best_of.csv and best_of.png. The truth chooses the best one, so this is
    what a perfect choice among samples would give. For each clip it is the mean over all choices of
    so many of its samples, which is unbiased; the table has the mean over clips.

    Args:
        data: The data module whose clips are predicted.
        models: Checkpoints of any stage by the name of their row.
        metrics: Metrics by name.
        rewards: Terms of the training reward by name; their weighted sum is one more metric.
        output: Folder for the table and the plot.
        scene: Metrics of decoded predictions against the true state.
        split: The split to score.
        draws: How many samples and clips.
        samplers: Samplers by row; the model's own distribution if not given.
        device: Where to run, such as ``cpu`` or ``cuda``; ``auto`` takes a GPU if there is one.

    Returns:
        The table.
    """
    samplers = samplers or {}
    check_names(models, samplers, {})
    figure_class()
    place = torch.device(default_device() if device == "auto" else device)
    scorer, console = Scorer(metrics, rewards, scene), Console()
    loaded = load_models(models, place)
    batches = Clips(data, place).first(split, draws.clips)
    rows = {}
    with progress_bar(console) as progress:
        for name, model in loaded.items():
            row = ModelRow(model, samplers.get(name, Sampler()), models[name])
            tracked = progress.track(list(enumerate(batches)), description=f"drawing from {name}")
            scores = [draws.scores(row, batch, scorer, seed) for seed, batch in tracked]
            rows[name] = draws.means(scores, scorer.higher_is_better)
    table = BestOf(
        sizes=list(draws.sizes),
        labels=scorer.labels,
        higher_is_better=scorer.higher_is_better,
        rows=rows,
        samples=draws.samples,
        clips=sum(len(batch["key"]) for batch in batches),
        split=split,
        commit=code_commit(),
        device=device_name(place),
        data=getattr(data, "fingerprint", None),
        checkpoints={name: str(path) for name, path in models.items()},
    )
    table.save(Path(output))
    console.print(table.rendered())
    return table
