"""The command ``evaluate``: one table and one filmstrip for baselines and checkpoints."""

import os
import platform
from dataclasses import replace
from pathlib import Path

import torch
from lightning import LightningDataModule
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from rlvr_world.evaluation.clips import Clips, Split
from rlvr_world.evaluation.rows import BASELINES, ModelRow, load_models
from rlvr_world.evaluation.run import Run
from rlvr_world.evaluation.scene import SceneMetrics
from rlvr_world.evaluation.scorer import Scorer
from rlvr_world.evaluation.search import SamplerSearch
from rlvr_world.evaluation.table import Table
from rlvr_world.modules.stage import code_commit
from rlvr_world.reward import Reward
from rlvr_world.rl.sampler import Sampler
from rlvr_world.video.clip_distance import FrechetClipDistance
from rlvr_world.video.filmstrip import write_png


@torch.no_grad()
def evaluate(
    data: LightningDataModule,
    models: dict[str, Path],
    metrics: dict[str, Reward],
    rewards: dict[str, Reward],
    output: Path,
    scene: SceneMetrics | None = None,
    distance: FrechetClipDistance | None = None,
    split: Split = "test",
    seeds: int = 3,
    clips: int | None = None,
    samplers: dict[str, Sampler] | None = None,
    tune: dict[str, str] | None = None,
    search: SamplerSearch = SamplerSearch(),  # noqa: B008
    filmstrip_clips: int = 4,
    seconds: dict[str, float] | None = None,
    device: str = "auto",
) -> Table:
    """Score checkpoints and baselines on all clips of a split.

    Writes table.json, table.csv and, for video, filmstrip.png; where the scene has groups, such as
    games, also by_<group>.csv. The rows copy_last (the last given
    frame) and reconstruction (the truth through the tokenizer) come first. Each cell is the mean
    over clips, with the standard deviation of that mean over sampling seeds.

    Args:
        data: The data module whose clips are predicted.
        models: Checkpoints of any stage by the name of their row.
        metrics: Columns by name.
        rewards: Terms of the training reward by name; their weighted sum is the column ``reward``.
        output: Folder for the table and the filmstrip.
        scene: Metrics of decoded pictures against the simulator's state.
        distance: A column that compares a row's clips as a whole with the true ones.
        split: The split to score.
        seeds: Number of predictions sampled for each clip.
        clips: Score only so many clips of the split, the first ones; all if not given.
        samplers: Samplers by row; the model's own distribution if not given.
        tune: Extra rows by name: each shares the checkpoint of the row that it names, and samples
            with the settings that have the best reward on the val split.
        search: The settings that ``tune`` chooses from.
        filmstrip_clips: Number of clips in the filmstrip.
        seconds: Durations of the stages of training, to be written into the table.
        device: Where to run, such as ``cpu`` or ``cuda``; ``auto`` takes a GPU if there is one.

    Returns:
        The table.
    """
    samplers, tune = samplers or {}, tune or {}
    check_names(models, samplers, tune)
    for setting, number in {"seeds": seeds, "clips": clips}.items():
        if number is not None and number < 1:
            raise ValueError(f"{setting} must be at least 1, got {number}")
    place = torch.device(default_device() if device == "auto" else device)
    source, scorer, console = Clips(data, place), Scorer(metrics, rewards, scene), Console()
    with progress_bar(console) as progress:
        rows = {}
        for name, model in load_models(models, place).items():
            rows[name] = ModelRow(model, samplers.get(name, Sampler()), models[name])
            for tuned in (new for new, base in tune.items() if base == name):
                best = search.best(rows[name], source, scorer, progress)
                rows[tuned] = replace(rows[name], sampler=best)
        run = Run(rows, scorer, seeds, filmstrip_clips, distance)
        run.score_all(source, split, progress, clips)
    sets = {} if distance is None else {distance.name: distance.label}
    table = Table(
        labels=scorer.labels | sets,
        higher_is_better=scorer.higher_is_better | dict.fromkeys(sets, False),
        rows=run.cells(),
        seeds=seeds,
        samples=run.samples,
        split=split,
        seconds=seconds or {},
        commit=code_commit(),
        device=device_name(place),
        data=getattr(data, "fingerprint", None),
        checkpoints={name: str(row.path) for name, row in rows.items()},
        samplers={name: row.settings for name, row in rows.items()},
        breakdown=run.breakdown(),
        too_long=dict(run.too_long),
    )
    table.save(output)
    if run.kept:
        write_png(Path(output) / "filmstrip.png", run.filmstrip())
    console.print(table.rendered(console.width))
    return table


def check_names(
    models: dict[str, Path], samplers: dict[str, Sampler], tune: dict[str, str]
) -> None:
    """Raise ``ValueError`` if the names of rows do not fit together."""
    if not models:
        raise ValueError("models: at least one checkpoint is needed")
    taken = [name for name in (*models, *tune) if name in BASELINES]
    taken += [name for name in tune if name in models]
    if taken:
        raise ValueError(f"models and tune: there is a row {taken[0]} already; use another name")
    for key, names in (("samplers", samplers), ("tune", tune.values())):
        unknown = [name for name in names if name not in models]
        if unknown:
            raise ValueError(f"{key}: {unknown[0]} is no row of models ({', '.join(models)})")


def progress_bar(console: Console) -> Progress:
    """A bar with the time that is left."""
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    times = [TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()]
    return Progress(*columns, *times, console=console)


def default_device() -> str:
    """A GPU if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    names = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.split(":", 1)[1].strip() for line in names.splitlines() if "model name" in line]
    name = models[0] if models else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"
