"""The table of web agents: rows are agents, over all tasks and for each task."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rich.box
import rich.console
import rich.table
from scipy.stats import binomtest

from rlvr_world.files import write_json, write_text
from rlvr_world.web.agent.results import Job, Result

PERCENT = 100.0
DRAWS = 10_000
COLUMNS = [
    "episodes", "success", "low", "high", "reward", "steps", "seconds_per_step", "lost",
]  # fmt: skip
HEADINGS = ("success %", "above the first", "reward", "steps", "s/step")


@dataclass
class AgentTable:
    """What ``web-agent`` measures.

    Args:
        rows: The columns of ``measures`` and ``differences`` over all tasks, by row.
        tasks: The columns of ``measures`` by task and row.
        about: What it was measured with.
    """

    rows: pd.DataFrame
    tasks: pd.DataFrame
    about: dict[str, Any]

    @classmethod
    def of(
        cls, results: Mapping[Job, Result], jobs: Sequence[Job], about: Mapping[str, Any]
    ) -> "AgentTable":
        """The table of finished jobs; every row has the same tasks and seeds."""
        episodes = pd.DataFrame([results[job] for job in jobs])
        rows = measures(episodes, ["row"]).join(differences(episodes))
        cells = pd.MultiIndex.from_product(
            [episodes.task.unique(), rows.index], names=["task", "row"]
        )
        return cls(rows, measures(episodes, ["task", "row"]).reindex(cells), dict(about))

    def save(self, folder: Path) -> None:
        """Write ``web_agent.json``, and ``web_agent.csv`` with the lines of all tasks first."""
        tasks = {
            task: _plain(own.droplevel("task"))
            for task, own in self.tasks.groupby(level="task", sort=False)
        }
        document = {"rows": _plain(self.rows), "tasks": tasks, "about": self.about}
        write_json(folder / "web_agent.json", document)
        lines = pd.concat({"all": self.rows}, names=["task"])
        text = pd.concat([lines, self.tasks]).to_csv(columns=COLUMNS)
        write_text(folder / "web_agent.csv", text)

    def rendered(self) -> rich.console.Group:
        lost = self.rows.lost.sum()
        title = f"{self.rows.episodes.iloc[0]} episodes in each row, 95 % intervals"
        table = rich.table.Table(box=rich.box.SIMPLE_HEAD)
        table.add_column("", no_wrap=True)
        for heading in HEADINGS:
            table.add_column(heading, justify="right", no_wrap=True)
        for row, own in self.rows.iterrows():
            table.add_row(str(row), *_texts(own))
        by_task = rich.table.Table("success % by task", box=rich.box.SIMPLE_HEAD)
        for row in self.rows.index:
            by_task.add_column(row, justify="right")
        for task, own in self.tasks.success.groupby(level="task", sort=False):
            by_task.add_row(str(task), *(f"{success:.0f}" for success in own))
        note = [f"{lost} episodes lost their browser and count as failures."] if lost else []
        return rich.console.Group(title, table, by_task, *note)


def measures(episodes: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """What agents reach in groups of episodes.

    Args:
        episodes: The fields of ``Result``, a row for each episode.
        by: The fields that name a group.

    Returns:
        For each group: the number of ``episodes``; ``success``, the share with the full reward in
        percent, with Wilson's 95 % interval from ``low`` to ``high``; the means of ``reward`` and
        ``steps``; ``seconds_per_step``, thinking included; and ``lost``, the episodes whose browser
        was lost, which count as failures.
    """
    groups = episodes.assign(lost=episodes.reason == "lost").groupby(by, sort=False)
    sums = groups[["success", "reward", "steps", "seconds", "lost"]].sum()
    count = groups.size()
    wilson = [
        binomtest(int(successes), int(of)).proportion_ci(method="wilson")
        for successes, of in zip(sums.success, count, strict=True)
    ]
    return pd.DataFrame({
        "episodes": count,
        "success": PERCENT * sums.success / count,
        "low": [PERCENT * float(interval.low) for interval in wilson],
        "high": [PERCENT * float(interval.high) for interval in wilson],
        "reward": sums.reward / count,
        "steps": sums.steps / count,
        "seconds_per_step": sums.seconds / sums.steps.clip(lower=1),
        "lost": sums.lost,
    })  # fmt: skip


def differences(episodes: pd.DataFrame) -> pd.DataFrame:
    """Success of each row but the first above that of the first on the same pages, in points.

    Args:
        episodes: The fields of ``Result``, a row for each episode.

    Returns:
        The mean ``difference`` by row, with its 95 % interval from ``difference_low`` to
        ``difference_high`` by a bootstrap over the pages of each task.
    """
    success = episodes.pivot(index=["task", "seed"], columns="row", values="success")
    first, *others = episodes.row.unique()
    above = PERCENT * success.astype(float).sub(success[first].astype(float), axis=0)
    tasks = above.index.get_level_values("task")
    intervals = {
        row: (above[row].mean(), *bootstrap(above[row].to_numpy(), tasks)) for row in others
    }
    columns = ["difference", "difference_low", "difference_high"]
    return pd.DataFrame.from_dict(intervals, orient="index", columns=columns)


def bootstrap(values: Sequence[float], groups: Sequence[str], seed: int = 0) -> tuple[float, float]:
    """The percentile interval of the mean over episodes, drawn anew within each group.

    Args:
        values: One value for each episode; a difference of two agents on the same page for a paired
            comparison.
        groups: The task of each episode; every draw has as many episodes of each task.
        seed: Of the draws.
    """
    rng, total = np.random.default_rng(seed), np.zeros(DRAWS)
    for _, own in pd.Series(values).groupby(np.asarray(groups)):
        total += own.to_numpy()[rng.integers(len(own), size=(DRAWS, len(own)))].sum(1)
    low, high = np.quantile(total / len(values), (0.025, 0.975))
    return float(low), float(high)


def _plain(table: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """The numbers of a table by row; None where there is none."""
    return table.astype(object).where(table.notna(), None).to_dict(orient="index")


def _texts(own: pd.Series) -> Iterator[str]:
    yield f"{own.success:.1f} ({own.low:.0f} to {own.high:.0f})"
    if pd.isna(own.difference):
        yield "-"
    else:
        yield f"{own.difference:+.1f} ({own.difference_low:.0f} to {own.difference_high:.0f})"
    yield f"{own.reward:.2f}"
    yield f"{own.steps:.1f}"
    yield f"{own.seconds_per_step:.2f}"
