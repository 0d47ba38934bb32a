"""The command ``analyse curves``: what runs logged, by gradient steps and by wall-clock time."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from rlvr_world.evaluation.files import csv_text, json_text, write_whole
from rlvr_world.evaluation.plots import Panel, figure_class, write_panels
from rlvr_world.evaluation.run_log import Curve, RunLog

AXES = {"gradient_steps": "gradient steps", "seconds": "seconds of training", "batches": "batches"}
"""What curves can be plotted over."""

USUAL = ("val/reward", "val/reward/lpips")

HEADING = ("run", "tag", "batches", "gradient_steps", "seconds", "value")

Curves = dict[str, dict[str, Curve]]


def curves(
    runs: dict[str, Path],
    output: Path,
    tags: tuple[str, ...] | None = None,
    after: dict[str, str] | None = None,
    axes: tuple[str, ...] = ("gradient_steps", "seconds"),
) -> Curves:
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
        The curves by run and tag.
    """
    figure_class()
    unknown = [axis for axis in axes if axis not in AXES]
    if unknown:
        raise ValueError(f"axes: no {unknown[0]}; choose from {', '.join(AXES)}")
    logs = {name: RunLog.read(folder) for name, folder in runs.items()}
    tags = tags or logged_of(USUAL, logs) or USUAL
    missing = set(tags) - set(logged_of(tags, logs))
    if missing:
        known = sorted({tag for log in logs.values() for tag in log.points})
        raise ValueError(f"tags: no run logged {min(missing)}; they logged {', '.join(known)}")
    found: Curves = {}
    for name, log in logs.items():
        before = [logs[other] for other in ancestors(name, after or {}, runs)]
        found[name] = {tag: log.curve(tag, before) for tag in tags if tag in log.points}
    save(found, output)
    panels = [panel(found, tag, axis) for tag in tags for axis in axes]
    write_panels(output / "curves.png", panels)
    return found


def logged_of(tags: tuple[str, ...], logs: Mapping[str, RunLog]) -> tuple[str, ...]:
    """The tags that at least one run has logged."""
    return tuple(tag for tag in tags if any(tag in log.points for log in logs.values()))


def ancestors(name: str, after: Mapping[str, str], runs: Mapping[str, Path]) -> list[str]:
    """The runs that a run went on from, the nearest first."""
    found: list[str] = []
    while name in after:
        name = after[name]
        if name not in runs or name in found:
            raise ValueError(f"after: {name} is no other one of the runs {', '.join(runs)}")
        found.append(name)
    return found


def save(found: Curves, output: Path) -> None:
    """Write ``curves.json`` and ``curves.csv``."""
    document = {
        run: {tag: asdict(curve) for tag, curve in tags.items()} for run, tags in found.items()
    }
    write_whole(output / "curves.json", json_text(document))
    lines = [
        [run, tag, *point]
        for run, tags in found.items()
        for tag, curve in tags.items()
        for point in zip(*asdict(curve).values(), strict=True)
    ]
    write_whole(output / "curves.csv", csv_text([HEADING, *lines]))


def panel(found: Curves, tag: str, axis: str) -> Panel:
    """One tag of all runs over an axis."""
    lines = {
        run: (getattr(tags[tag], axis), tags[tag].values)
        for run, tags in found.items()
        if tag in tags
    }
    return Panel(tag, AXES[axis], lines)
