"""The table of web agents: rows are agents, over all tasks and for each task."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import rich.box
import rich.console
import rich.table

from rlvr_world.evaluation.files import csv_text, json_text, write_whole
from rlvr_world.web.agent.intervals import bootstrap, wilson
from rlvr_world.web.agent.results import Job, Result

PERCENT = 100.0
COLUMNS = (
    "episodes", "success", "low", "high", "reward", "steps", "seconds_per_step", "lost",
)  # fmt: skip
HEADINGS = ("success %", "above the first", "reward", "steps", "s/step")


@dataclass
class Cells:
    """What an agent reaches on some episodes.

    Args:
        episodes: Their number.
        success: Share of them with the full reward, in percent.
        interval: Wilson's 95 % interval of that.
        reward: The mean reward.
        steps: The mean number of steps.
        seconds_per_step: The mean time of a step, thinking included.
        lost: Episodes whose browser was lost, which count as failures.
        difference: Success above that of the first row on the same pages, in points.
        difference_interval: Its 95 % interval by a bootstrap over the pages of each task.
    """

    episodes: int
    success: float
    interval: tuple[float, float]
    reward: float
    steps: float
    seconds_per_step: float
    lost: int
    difference: float | None = None
    difference_interval: tuple[float, float] | None = None


@dataclass
class AgentTable:
    """What ``web-agent`` measures, as it is written to ``web_agent.json``.

    Args:
        rows: Cells over all tasks by row.
        tasks: Cells by task and row.
        about: What it was measured with.
    """

    rows: dict[str, Cells]
    tasks: dict[str, dict[str, Cells]]
    about: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, results: Mapping[Job, Result], jobs: Sequence[Job], about: Mapping[str, Any]
    ) -> "AgentTable":
        """The table of finished jobs; every row has the same tasks and seeds."""
        rows = list(dict.fromkeys(job.row for job in jobs))
        tasks = list(dict.fromkeys(job.task for job in jobs))
        by_row = {row: [results[job] for job in jobs if job.row == row] for row in rows}
        first = by_row[rows[0]]
        whole = {row: cells(own, None if own is first else first) for row, own in by_row.items()}
        parts = {
            task: {row: cells([r for r in own if r.task == task]) for row, own in by_row.items()}
            for task in tasks
        }
        return cls(whole, parts, dict(about))

    def save(self, folder: Path) -> None:
        """Write ``web_agent.json`` and ``web_agent.csv``."""
        write_whole(Path(folder) / "web_agent.json", json_text(asdict(self)))
        write_whole(Path(folder) / "web_agent.csv", self.csv())

    def csv(self) -> str:
        """One line for each row over all tasks, then one for each task and row."""
        lines = [["task", "row", *COLUMNS]]
        for task, rows in {"all": self.rows, **self.tasks}.items():
            for row, own in rows.items():
                numbers = asdict(own)
                numbers["low"], numbers["high"] = own.interval
                lines.append([task, row, *(numbers[name] for name in COLUMNS)])
        return csv_text(lines)

    def rendered(self) -> rich.console.Group:
        """Both tables for a terminal."""
        count, lost = (
            sum(getattr(own, name) for own in self.rows.values()) for name in ("episodes", "lost")
        )
        title = f"{count // len(self.rows)} episodes in each row, 95 % intervals"
        table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
        table.add_column("", no_wrap=True)
        for heading in HEADINGS:
            table.add_column(heading, justify="right", no_wrap=True)
        for row, own in self.rows.items():
            table.add_row(row, *_texts(own))
        note = [f"{lost} episodes lost their browser and count as failures."] if lost else []
        return rich.console.Group(title, table, self._by_task(), *note)

    def _by_task(self) -> rich.table.Table:
        table = rich.table.Table("success % by task", box=rich.box.SIMPLE_HEAD)
        for row in self.rows:
            table.add_column(row, justify="right")
        for task, rows in self.tasks.items():
            table.add_row(task, *(f"{own.success:.0f}" for own in rows.values()))
        return table


def cells(results: Sequence[Result], first: Sequence[Result] | None = None) -> Cells:
    """The cells of some episodes, compared with those of the first row on the same pages."""
    count, steps = len(results), sum(r.steps for r in results)
    low, high = wilson(sum(r.success for r in results), count)
    own = Cells(
        episodes=count,
        success=PERCENT * sum(r.success for r in results) / count,
        interval=(PERCENT * low, PERCENT * high),
        reward=sum(r.reward for r in results) / count,
        steps=steps / count,
        seconds_per_step=sum(r.seconds for r in results) / max(steps, 1),
        lost=sum(r.reason == "lost" for r in results),
    )
    if first is not None:
        pairs = zip(results, first, strict=True)
        gains = [PERCENT * (r.success - other.success) for r, other in pairs]
        own.difference = sum(gains) / count
        own.difference_interval = bootstrap(gains, [r.task for r in results])
    return own


def _texts(own: Cells) -> Iterator[str]:
    """The cells of a row for a terminal."""
    yield f"{own.success:.1f} ({_range(own.interval)})"
    if own.difference is None or own.difference_interval is None:
        yield "-"
    else:
        yield f"{own.difference:+.1f} ({_range(own.difference_interval)})"
    yield f"{own.reward:.2f}"
    yield f"{own.steps:.1f}"
    yield f"{own.seconds_per_step:.2f}"


def _range(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.0f} to {interval[1]:.0f}"
