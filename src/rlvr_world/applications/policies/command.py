"""The command ``policies``: do world models judge policies as the real world does?"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rich.console import Console

from rlvr_world.applications.policies.agreement import agreement
from rlvr_world.applications.policies.labelling.clips import save_clips
from rlvr_world.applications.policies.policy import Policy
from rlvr_world.applications.policies.table import HIGHER, LABELS, PolicyTable
from rlvr_world.applications.policies.worlds import REAL, Judged, Trial, check_simulated
from rlvr_world.evaluation.comparison import check_names, device_name
from rlvr_world.evaluation.rows import load_models
from rlvr_world.evaluation.table import cells, score_frame
from rlvr_world.jobs import progress_bar
from rlvr_world.modules.checkpoint import code_commit
from rlvr_world.rl.budget import check_positive
from rlvr_world.rl.sampler import Sampler
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.sources.metaworld import MetaWorldSimulator

Results = dict[str, dict[str, Judged]]
"""What was judged, by row and task."""


def policies(
    output: Path,
    data: Path,
    models: dict[str, Path],
    policies: dict[str, Policy],
    tasks: Sequence[str] = ("drawer-open", "drawer-close"),
    samplers: dict[str, Sampler] | None = None,
    starts: int = 30,
    steps: int = 30,
    horizon: int = 7,
    examples: int = 10,
    classifier_steps: int = 400,
    clips: int = 0,
    seed: int = 0,
    device: str = "auto",
) -> PolicyTable:
    """Let policies act in the simulator and in world models, and compare who succeeds.

    All begin at first frames of episodes of the simulator that were never recorded. In the row
    ``real`` the simulator judges the end; in all others a classifier of final frames does, which
    was trained on other real rollouts: ``real_classified`` and ``reconstruction`` show what it and
    the tokens add, ``copy_last`` is a world in which nothing moves. Writes table.json, table.csv,
    by_cell.csv and table.md, anew after each row, and clips for ``rlvr-world label``.

    Args:
        output: Folder for the table.
        data: Folder of a recording of Meta-World.
        models: Checkpoints by the name of their row.
        policies: Policies by name, at least two.
        tasks: Tasks of the recording.
        samplers: Samplers by row; the model's own distribution if not given.
        starts: Starts of each policy in each task.
        steps: Actions until the end.
        horizon: Frames that a model predicts before its window slides.
        examples: Rollouts of each policy that the classifier learns from.
        classifier_steps: Batches of the classifier's training.
        clips: How many rollouts of the simulator and the models are kept for a person to label.
        seed: Of the predictions, the intervals and the choice of clips.
        device: Where the models run, such as ``cpu`` or ``cuda``; ``auto`` takes a GPU if there is
            one.
    """
    check_positive(starts=starts, steps=steps, examples=examples, horizon=horizon)
    manifest, samplers = Manifest.load(data), samplers or {}
    check_simulated(manifest, data)
    check_names(models, samplers, {})
    if len(policies) < 2:
        raise ValueError("policies: give at least two; a single one has no rank")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = load_models(models, torch.device(device))
    about = {
        "labels": LABELS,
        "higher_is_better": HIGHER,
        "split": "test",
        "commit": code_commit(),
        "device": device_name(torch.device(device)),
        "data": manifest.fingerprint,
        "checkpoints": {name: str(path) for name, path in models.items()},
        "samplers": {name: vars(sampler) for name, sampler in samplers.items()},
        "seeds": 1,
        "samples": starts * len(policies) * len(tasks),
        "grouping": "cell",
        "group_sizes": {f"{t}: {p}": starts for t in tasks for p in policies},
    }
    for policy in policies.values():
        policy.prepare(data, tasks)
    simulator = MetaWorldSimulator(manifest.settings)
    shape = (starts, examples, steps, classifier_steps)
    trials = {task: Trial(simulator, manifest, task, policies, *shape) for task in tasks}
    rows = judged(trials, loaded, samplers, horizon, seed)
    for results in rows:
        table = table_of(results, trials, list(policies), about, seed)
        table.save(output)
    if clips:
        save_clips(output / "clips", results, list(policies), clips, seed)
    Console().print(table.markdown(), soft_wrap=True, markup=False)
    return table


def judged(
    trials: Mapping[str, Trial],
    models: Mapping[str, Any],
    samplers: Mapping[str, Sampler],
    horizon: int,
    seed: int,
) -> Iterator[Results]:
    """The rows so far, after those without predictions and after each model."""
    films = {task: trial.real() for task, trial in trials.items()}
    results: Results = {}
    for task, trial in trials.items():
        for row, found in trial.baselines(films[task], next(iter(models.values()))):
            results.setdefault(row, {})[task] = found
    yield results
    with progress_bar() as progress:
        for row, model in progress.track(models.items(), description="policies"):
            results[row] = {
                task: trial.imagined(
                    films[task].frames[:, 0], model, horizon, samplers.get(row), seed
                )
                for task, trial in trials.items()
            }
            yield results


def table_of(
    results: Results,
    trials: Mapping[str, Trial],
    names: Sequence[str],
    about: Mapping[str, Any],
    seed: int,
) -> PolicyTable:
    """The table of the rows so far."""
    scores, intervals = [], {}
    real = {task: found.success.double().numpy() for task, found in results[REAL].items()}
    for row, by_task in results.items():
        for task, found in by_task.items():
            groups = np.repeat([f"{task}: {name}" for name in names], found.success.shape[1])
            columns = {"success": 100.0 * found.success.flatten()}
            if found.verdict is not None:
                columns["verdict"] = 100.0 * found.verdict.flatten()
            scores.append(score_frame(row, columns, groups.tolist()))
        if row != REAL:
            other = {task: found.success.double().numpy() for task, found in by_task.items()}
            intervals[row] = points(agreement(real, other, seed=seed))
    frame = pd.concat(scores)
    measures = [
        score_frame(row, {name: torch.tensor([value[0]])}, [""])
        for row, found in intervals.items()
        for name, value in found.items()
    ]
    return PolicyTable(
        **about,
        cells=cells(pd.concat([frame, *measures])),
        group_cells=cells(frame, ["group"]),
        classifier={task: trial.measured for task, trial in trials.items()},
        intervals={
            row: {name: [plain(end) for end in value[1:]] for name, value in found.items()}
            for row, found in intervals.items()
        },
    )


def points(
    found: Mapping[str, tuple[float, float, float]],
) -> dict[str, tuple[float, float, float]]:
    """Measures of shares as points of percent; the correlation stays."""
    return {
        name: value if name == "correlation" else (100 * value[0], 100 * value[1], 100 * value[2])
        for name, value in found.items()
    }


def plain(value: float) -> float | None:
    """A number as JSON has it, None for NaN."""
    return None if np.isnan(value) else value
