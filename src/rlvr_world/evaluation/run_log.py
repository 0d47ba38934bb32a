"""What a run logged for TensorBoard, over steps and over time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

IGNORED = "hp_metric"
"""What the logger writes at the start of every file."""


class Point(NamedTuple):
    """A value after a number of batches and of seconds since the start of the run."""

    batches: int
    seconds: float
    value: float


@dataclass(frozen=True)
class Curve:
    """A logged value over training."""

    batches: list[int]
    gradient_steps: list[int]
    seconds: list[float]
    values: list[float]


@dataclass(frozen=True)
class RunLog:
    """The scalars of a run.

    Args:
        points: The values in order, by tag.
        steps_per_batch: Gradient steps on each batch.
    """

    points: dict[str, list[Point]]
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

    def end(self) -> Point:
        """Where the run ends."""
        last = [points[-1] for points in self.points.values()]
        return Point(max(p.batches for p in last), max(p.seconds for p in last), float("nan"))

    def curve(self, tag: str, before: Sequence["RunLog"] = ()) -> Curve:
        """The curve of a tag, which begins where the runs ``before`` it end."""
        ends = [log.end() for log in before]
        pairs = zip(before, ends, strict=True)
        batches = sum(end.batches for end in ends)
        steps = sum(log.steps_per_batch * end.batches for log, end in pairs)
        seconds = sum(end.seconds for end in ends)
        points = self.points[tag]
        return Curve(
            [batches + point.batches for point in points],
            [steps + self.steps_per_batch * point.batches for point in points],
            [seconds + point.seconds for point in points],
            [point.value for point in points],
        )


def merged(files: Sequence[Path]) -> dict[str, list[Point]]:
    """The points of a run's event files by tag, each step once."""
    parts = [part for part in map(scalars, files) if part]
    firsts = [min(points[0].batches for points in part.values()) for part in parts]
    points: dict[str, list[Point]] = {}
    clock = 0.0
    for part, limit in zip(parts, [*firsts[1:], float("inf")], strict=True):
        start = clock
        for tag, point in kept(part, limit):
            seconds = start + point.seconds
            points.setdefault(tag, []).append(point._replace(seconds=seconds))
            clock = max(clock, seconds)
    return points


def kept(part: Mapping[str, Sequence[Point]], limit: float) -> Iterator[tuple[str, Point]]:
    """The points of a file before a number of batches."""
    for tag, points in part.items():
        yield from ((tag, point) for point in points if point.batches < limit)


def scalars(file: Path) -> dict[str, list[Point]]:
    """The points of one event file by tag; seconds since its beginning."""
    events = EventAccumulator(str(file), size_guidance={"scalars": 0})
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag != IGNORED]
    start = events.FirstEventTimestamp() if tags else 0.0
    return {
        tag: [Point(e.step + 1, e.wall_time - start, e.value) for e in events.Scalars(tag)]
        for tag in tags
    }
