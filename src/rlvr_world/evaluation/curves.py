"""The command ``analyse curves``: what runs logged, by gradient steps and by wall-clock time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlvr_world.evaluation.plots import Panel, figure_class, write_panels
from rlvr_world.files import write_json, write_text

AXES = {"gradient_steps": "gradient steps", "seconds": "seconds of training", "batches": "batches"}
"""What curves can be plotted over."""

USUAL = ("val/reward", "val/reward/lpips")
COLUMNS = ["run", "tag", "batches", "gradient_steps", "seconds", "value"]


def curves(
    runs: dict[str, Path],
    output: Path,
    tags: tuple[str, ...] | None = None,
    after: dict[str, str] | None = None,
    axes: tuple[str, ...] = ("gradient_steps", "seconds"),
) -> pd.DataFrame:
    """Write the learning curves of runs from what they logged for TensorBoard.

    Writes curves.json, curves.csv and curves.png. A batch of RLVR is one RL step of several
    gradient steps. Seconds are those of the run, with its validation but without interruptions;
    steps that a resumed run did again count once.

    Args:
        runs: Folders of runs by name.
        output: Folder for the files.
        tags: What to plot; the validation reward and, where it was logged, LPIPS, if not given.
        after: Runs that went on from another one: their axes begin where that ends.
        axes: What to plot it over: ``gradient_steps``, ``seconds`` or ``batches``.

    Returns:
        The columns ``run``, ``tag``, ``batches``, ``gradient_steps``, ``seconds`` and ``value``.
    """
    figure_class()
    unknown = [axis for axis in axes if axis not in AXES]
    if unknown:
        raise ValueError(f"axes: no {unknown[0]}; choose from {', '.join(AXES)}")
    logs = {name: read_run(folder) for name, folder in runs.items()}
    logged = {tag for log in logs.values() for tag in log["tag"]}
    tags = tags or tuple(tag for tag in USUAL if tag in logged) or USUAL
    missing = set(tags) - logged
    if missing:
        known = ", ".join(sorted(logged))
        raise ValueError(f"tags: no run logged {min(missing)}; they logged {known}")
    frames = []
    for name, log in logs.items():
        ends = [logs[other][list(AXES)].max() for other in ancestors(name, after or {}, runs)]
        counted_on = {axis: log[axis] + sum(end[axis] for end in ends) for axis in AXES}
        own = log.assign(run=name, **counted_on)
        frames += [own[own["tag"] == tag] for tag in tags]
    points = pd.concat(frames)[COLUMNS]
    save(points, output)
    panels = [panel(points[points["tag"] == tag], tag, axis) for tag in tags for axis in axes]
    write_panels(output / "curves.png", panels)
    return points


def ancestors(name: str, after: Mapping[str, str], runs: Mapping[str, Path]) -> list[str]:
    """The runs that a run went on from, the nearest first."""
    found: list[str] = []
    while name in after:
        name = after[name]
        if name not in runs or name in found:
            raise ValueError(f"after: {name} is no other one of the runs {', '.join(runs)}")
        found.append(name)
    return found


def save(points: pd.DataFrame, output: Path) -> None:
    """Write ``curves.csv``, and lists by run and tag, ``curves.json``."""
    write_text(output / "curves.csv", points.to_csv(index=False))
    document: dict[str, Any] = {}
    lists = points.rename(columns={"value": "values"})
    for (run, tag), curve in lists.groupby(["run", "tag"], sort=False):
        columns = curve.drop(columns=["run", "tag"])
        document.setdefault(str(run), {})[tag] = columns.to_dict(orient="list")
    write_json(output / "curves.json", document)


def panel(points: pd.DataFrame, tag: str, axis: str) -> Panel:
    """One tag of all runs over an axis."""
    curves = points.groupby("run", sort=False)
    return Panel(tag, AXES[axis], {str(run): (c[axis], c["value"]) for run, c in curves})


def read_run(folder: Path) -> pd.DataFrame:
    """The scalars of a run, from one event file for each time that it was started or resumed.

    Steps that a resumed run did again are taken from the later file, and the clock stands still
    from the last step that counts to the next file. All counts from the start of the run.
    """
    files, config = sorted(folder.glob("events.out.tfevents.*")), folder / "config.yaml"
    if not files or not config.is_file():
        raise FileNotFoundError(
            f"{folder}: holds no run; give the folder of checkpoints/, config.yaml and events.*"
        )
    starts = [part for part in map(scalars, files) if len(part)]
    ends = [*(part["batches"].min() for part in starts[1:]), float("inf")][: len(starts)]
    parts, clock = [scalars(files[0])[:0]], 0.0
    for part, end in zip(starts, ends, strict=True):
        kept = part[part["batches"] < end]
        parts.append(kept.assign(seconds=kept["seconds"] + clock))
        clock = max([clock, *parts[-1]["seconds"]])
    points = pd.concat(parts)
    try:
        model = yaml.safe_load(config.read_text(encoding="utf-8"))["model"]
        steps_per_batch = int(model.get("init_args", {}).get("num_minibatches", 1))
    except Exception as error:
        reason = type(error).__name__
        raise ValueError(f"{config}: not the config that a run has left ({reason})") from error
    return points.assign(gradient_steps=steps_per_batch * points["batches"])


def scalars(file: Path) -> pd.DataFrame:
    """What one event file holds; seconds since its beginning."""
    events = EventAccumulator(str(file), size_guidance={"scalars": 0})
    events.Reload()
    # the logger writes hp_metric at the start of every file
    tags = [tag for tag in events.Tags()["scalars"] if tag != "hp_metric"]
    start = events.FirstEventTimestamp() if tags else 0.0
    points = [
        (tag, event.step + 1, event.wall_time - start, event.value)
        for tag in tags
        for event in events.Scalars(tag)
    ]
    return pd.DataFrame(points, columns=["tag", "batches", "seconds", "value"])
