"""Episodes that are finished, kept in a journal as they end."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from rlvr_world.files import check_settings, read_json, write_json, write_text
from rlvr_world.web.agent.episode import Episode


class Job(NamedTuple):
    """One episode to run: the row, the task and the seed of its pages."""

    row: str
    task: str
    seed: int


class Result(NamedTuple):
    """How an episode went.

    Args:
        row: The row of the agent.
        task: The task.
        seed: The seed of its pages.
        reward: Its reward.
        success: Whether the reward is the full one.
        steps: The steps that the agent took.
        reason: Why it ended.
        seconds: How long it took.
        seconds_to_decide: How much of that went into decisions.
    """

    row: str
    task: str
    seed: int
    reward: float
    success: bool
    steps: int
    reason: str
    seconds: float
    seconds_to_decide: float

    @property
    def job(self) -> Job:
        return Job(self.row, self.task, self.seed)

    @classmethod
    def of(cls, job: Job, episode: Episode) -> Self:
        return cls(
            *job,
            reward=episode.reward,
            success=episode.success,
            steps=len(episode.steps),
            reason=episode.reason,
            seconds=round(episode.seconds, 3),
            seconds_to_decide=round(sum(s["seconds_to_decide"] for s in episode.steps), 3),
        )


class EpisodeJournal:
    """A folder with one line for each finished episode, and the settings that they belong to.

    Several processes may add lines.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.path, self.settings = self.folder / "episodes.jsonl", self.folder / "settings.json"

    def begin(self, settings: Mapping[str, Any]) -> dict[Job, Result]:
        """The episodes that are finished already; half a line of a killed run is dropped.

        Args:
            settings: What all rows share, and under ``agents`` what each row is. Rows may come and
                go, but not change.

        Raises:
            ValueError: The folder holds episodes of other settings.
        """
        wanted = json.loads(json.dumps(settings, default=str))
        finished = self.read()
        if self.settings.exists():
            there = read_json(self.settings)
            rows = there["agents"].keys() & wanted["agents"].keys()
            check_settings(self.folder, _flat(there, rows), _flat(wanted, rows))
            wanted["agents"] = there["agents"] | wanted["agents"]
        elif finished:
            raise ValueError(f"{self.path}: no settings.json is beside it: use another output")
        write_json(self.settings, wanted)
        write_text(self.path, "".join(map(_line, finished.values())))
        return finished

    def add(self, results: Iterable[Result]) -> None:
        with self.path.open("a") as file:
            file.write("".join(map(_line, results)))

    def read(self) -> dict[Job, Result]:
        lines = self.path.read_text().splitlines() if self.path.exists() else ()
        return {result.job: result for line in lines for result in _results(line)}


def _line(result: Result) -> str:
    return json.dumps(result._asdict()) + "\n"


def _results(line: str) -> list[Result]:
    """The result in a line of a journal; none if the line was cut short."""
    try:
        return [Result(**json.loads(line))]
    except (ValueError, TypeError):
        return []


def _flat(settings: Mapping[str, Any], rows: Iterable[str]) -> dict[str, Any]:
    """Settings with a key for each of some rows in place of all agents."""
    agents = {f"agents.{row}": settings["agents"][row] for row in sorted(rows)}
    return {key: value for key, value in settings.items() if key != "agents"} | agents
