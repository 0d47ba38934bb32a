"""The command ``analyse curves``: what runs logged, by gradient steps and by wall-clock time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
COLUMNS = ["tag", "batches", "seconds", "value"]

IGNORED = "hp_metric"
"""What the logger writes at the start of every file."""


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
    logs = {name: RunLog.read(folder) for name, folder in runs.items()}
    logged = {tag for log in logs.values() for tag in log.points["tag"]}
    tags = tags or tuple(tag for tag in USUAL if tag in logged) or USUAL
    missing = set(tags) - logged
    if missing:
        known = ", ".join(sorted(logged))
        raise ValueError(f"tags: no run logged {min(missing)}; they logged {known}")
    frames = {
        name: log.after(logs[other] for other in ancestors(name, after or {}, runs))
        for name, log in logs.items()
    }
    points = pd.concat(frames, names=["run"]).reset_index("run")
    points = pd.concat([points[points["tag"] == tag] for tag in tags])
    points = points.sort_values("run", key=lambda names: names.map(list(runs).index), kind="stable")
    save(points, output)
    panels = [
        Panel(tag, AXES[axis], {
            str(run): (curve[axis].tolist(), curve["value"].tolist())
            for run, curve in points[points["tag"] == tag].groupby("run", sort=False)
        })
        for tag in tags for axis in axes
    ]  # fmt: skip
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
    """Write ``curves.json``, lists by run and tag, and ``curves.csv``."""
    write_text(output / "curves.csv", points.to_csv(index=False))
    document: dict[str, Any] = {}
    renamed = points.rename(columns={"value": "values"})
    for (run, tag), curve in renamed.groupby(["run", "tag"], sort=False):
        lists = curve.drop(columns=["run", "tag"]).to_dict(orient="list")
        document.setdefault(str(run), {})[tag] = lists
    write_json(output / "curves.json", document)


@dataclass(frozen=True)
class RunLog:
    """The scalars of a run.

    Args:
        points: A line for each logged value: its tag, the batches and the seconds since the start
            of the run, the value.
        steps_per_batch: Gradient steps on each batch.
    """

    points: pd.DataFrame
    steps_per_batch: int

    @classmethod
    def read(cls, folder: Path) -> "RunLog":
        """Read the event files of a run, one for each time that it was started or resumed.

        Steps that a resumed run did again are taken from the later file, and the clock stands still
        from the last step that counts to the next file.

        Raises:
            FileNotFoundError: The folder holds no run.
        """
        files, config = sorted(folder.glob("events.out.tfevents.*")), folder / "config.yaml"
        if not files or not config.is_file():
            raise FileNotFoundError(
                f"{folder}: holds no run; give the folder of checkpoints/, config.yaml and events.*"
            )
        model = yaml.safe_load(config.read_text())["model"]
        return cls(merged(files), model.get("init_args", {}).get("num_minibatches", 1))

    @property
    def ends(self) -> tuple[int, int, float]:
        """The batches, gradient steps and seconds at the end of the run."""
        batches, seconds = self.points[["batches", "seconds"]].max()
        return int(batches), self.steps_per_batch * int(batches), seconds

    def after(self, before: Iterable["RunLog"]) -> pd.DataFrame:
        """The points, with gradient steps, counted on from the ends of the runs ``before``."""
        ends = [log.ends for log in before]
        batches, steps, seconds = map(sum, zip(*ends, strict=True)) if ends else (0, 0, 0.0)
        own = self.points["batches"]
        return pd.DataFrame({
            "tag": self.points["tag"],
            "batches": batches + own,
            "gradient_steps": steps + self.steps_per_batch * own,
            "seconds": seconds + self.points["seconds"],
            "value": self.points["value"],
        })  # fmt: skip


def merged(files: Sequence[Path]) -> pd.DataFrame:
    """The points of a run's event files, each step once."""
    parts = [part for part in map(scalars, files) if len(part)]
    limits = [part["batches"].min() for part in parts[1:]] + [float("inf")]
    frames, clock = [pd.DataFrame(columns=COLUMNS)], 0.0
    for part, limit in zip(parts, limits, strict=True):
        kept = part[part["batches"] < limit]
        kept = kept.assign(seconds=kept["seconds"] + clock)
        clock = max([clock, *kept["seconds"]])
        frames.append(kept)
    return pd.concat(frames[1:] or frames)


def scalars(file: Path) -> pd.DataFrame:
    """The points of one event file; seconds since its beginning."""
    events = EventAccumulator(str(file), size_guidance={"scalars": 0})
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag != IGNORED]
    start = events.FirstEventTimestamp() if tags else 0.0
    points = [
        (tag, event.step + 1, event.wall_time - start, event.value)
        for tag in tags
        for event in events.Scalars(tag)
    ]
    return pd.DataFrame(points, columns=COLUMNS)
