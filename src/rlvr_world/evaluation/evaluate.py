"""The command ``evaluate``: one table and one picture for baselines and checkpoints."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.console import Console

from rlvr_world.evaluation.columns import SetDistance
from rlvr_world.evaluation.comparison import Comparison
from rlvr_world.evaluation.examples import Split
from rlvr_world.evaluation.run import Run
from rlvr_world.evaluation.search import SamplerSearch
from rlvr_world.evaluation.table import Table
from rlvr_world.files import whole
from rlvr_world.jobs import progress_bar


def evaluate(
    output: Path,
    distance: SetDistance | None = None,
    split: Split = "test",
    seeds: int = 3,
    limit: int | None = None,
    tune: dict[str, str] | None = None,
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

    Returns:
        The table.
    """
    for setting, number in {"seeds": seeds, "limit": limit}.items():
        if number is not None and number < 1:
            raise ValueError(f"{setting} must be at least 1, got {number}")
    compared, console = Comparison(tune=tune, **comparison), Console()
    scorer, examples, rows = compared.scorer, compared.examples, {}
    with torch.no_grad(), progress_bar(console) as progress:
        for name, row in compared.rows.items():
            rows[name] = row
            for tuned in (new for new, base in (tune or {}).items() if base == name):
                rows[tuned] = replace(row, sampler=search.best(row, examples, scorer, progress))
        compared.rows = rows
        run = Run(rows, scorer, seeds, pictured, distance)
        run.score_all(examples, split, progress, limit)
        table = run.table(compared.provenance(split), seconds or {})
    table.save(output)
    if run.picture is not None:
        with whole(output / "predictions.png") as unfinished:
            Image.fromarray(run.picture).save(unfinished, format="PNG")
    console.print(table.rendered(console.width))
    return table
