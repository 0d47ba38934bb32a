"""The command ``evaluate``: one table and one picture for baselines and checkpoints."""

from dataclasses import replace
from pathlib import Path

import torch
from lightning import LightningDataModule
from PIL import Image
from rich.console import Console

from rlvr_world.evaluation.columns import SceneMetrics, SetDistance
from rlvr_world.evaluation.comparison import Comparison
from rlvr_world.evaluation.examples import Split
from rlvr_world.evaluation.run import Run
from rlvr_world.evaluation.search import SamplerSearch
from rlvr_world.evaluation.table import Table
from rlvr_world.files import whole
from rlvr_world.jobs import progress_bar
from rlvr_world.reward import Reward
from rlvr_world.rl.sampler import Sampler


@torch.no_grad()
def evaluate(
    data: LightningDataModule,
    models: dict[str, Path],
    metrics: dict[str, Reward],
    output: Path,
    rewards: dict[str, Reward] | None = None,
    scene: SceneMetrics | None = None,
    distance: SetDistance | None = None,
    split: Split = "test",
    seeds: int = 3,
    limit: int | None = None,
    samplers: dict[str, Sampler] | None = None,
    tune: dict[str, str] | None = None,
    search: SamplerSearch = SamplerSearch(),  # noqa: B008
    pictured: int = 4,
    seconds: dict[str, float] | None = None,
    device: str = "auto",
) -> Table:
    """Score checkpoints and baselines on all transitions of a split.

    Writes table.json, table.csv and, if the codec draws, predictions.png; where the scene has
    groups, such as games, also by_<group>.csv. The rows copy_last (the last given state) and, for a
    lossy codec, reconstruction (the truth through the tokenizer) come first. Each cell is the mean
    over transitions, with the standard deviation of that mean over sampling seeds.

    Args:
        data: The data module whose transitions are predicted.
        models: Checkpoints of any stage by the name of their row.
        metrics: Columns by name.
        output: Folder for the table and the picture.
        rewards: Terms of the training reward by name; their weighted sum is the column ``reward``.
            If not given, those that the first RLVR checkpoint among the models was trained on, or
            else those that another one names; without any there is no such column.
        scene: Metrics of decoded predictions against the simulator's state.
        distance: A column that compares a row's predictions as a set with the true states.
        split: The split to score.
        seeds: Number of predictions sampled for each transition.
        limit: Score only so many transitions of the split, the first ones; all if not given.
        samplers: Samplers by row; the model's own distribution if not given.
        tune: Extra rows by name: each shares the checkpoint of the row that it names, and samples
            with the settings that have the best reward on the val split.
        search: The settings that ``tune`` chooses from.
        pictured: Number of transitions in the picture.
        seconds: Durations of the stages of training, to be written into the table.
        device: Where to run, such as ``cpu`` or ``cuda``; ``auto`` takes a GPU if there is one.

    Returns:
        The table.
    """
    for setting, number in {"seeds": seeds, "limit": limit}.items():
        if number is not None and number < 1:
            raise ValueError(f"{setting} must be at least 1, got {number}")
    tune, console = tune or {}, Console()
    compared = Comparison(data, models, metrics, rewards, scene, samplers, device, tune)
    scorer, rows = compared.scorer, {}
    with progress_bar(console) as progress:
        for name, row in compared.rows.items():
            rows[name] = row
            for tuned in (new for new, base in tune.items() if base == name):
                best = search.best(row, compared.examples, scorer, progress)
                rows[tuned] = replace(row, sampler=best)
        compared.rows = rows
        run = Run(rows, scorer, seeds, pictured, distance)
        run.score_all(compared.examples, split, progress, limit)
    table = run.table(compared.provenance(split), seconds or {})
    table.save(output)
    if run.picture is not None:
        with whole(output / "predictions.png") as unfinished:
            Image.fromarray(run.picture).save(unfinished, format="PNG")
    console.print(table.rendered(console.width))
    return table
