"""Episodes that are finished, kept in a journal as they end."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from rlvr_world.evaluation.files import json_text, write_whole


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
        """What it is the result of."""
        return Job(self.row, self.task, self.seed)

    @classmethod
    def from_line(cls, line: str) -> Self | None:
        """The result in a line of a journal; None if the line was cut short."""
        try:
            return cls(**json.loads(line))
        except (ValueError, TypeError):
            return None


class EpisodeJournal:
    """A folder with one line for each finished episode, and the settings that they belong to.

    Several processes may add lines.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = Path(folder) / "episodes.jsonl"
        self.settings = Path(folder) / "settings.json"

    def begin(self, settings: Mapping[str, Any]) -> dict[Job, Result]:
        """The episodes that are finished already; half a line of a killed run is dropped.

        Args:
            settings: What all rows share, and under ``agents`` what each row is. Rows may come and
                go, but not change.

        Raises:
            ValueError: The folder holds episodes of other settings.
        """
        wanted = json.loads(json.dumps(settings, default=str))
        results = [r for line in self._lines() if (r := Result.from_line(line)) is not None]
        if self.settings.exists():
            there = json.loads(self.settings.read_text())
            self._check(there, wanted)
            wanted["agents"] = there["agents"] | wanted["agents"]
        elif results:
            raise ValueError(f"{self.path}: no settings.json is beside it: use another output")
        write_whole(self.settings, json_text(wanted))
        write_whole(self.path, "".join(map(self._line, results)))
        return {result.job: result for result in results}

    def add(self, results: Iterable[Result]) -> None:
        """Note finished episodes."""
        with self.path.open("a") as file:
            file.write("".join(map(self._line, results)))

    def read(self) -> dict[Job, Result]:
        """The finished episodes."""
        found = map(Result.from_line, self._lines())
        return {result.job: result for result in found if result is not None}

    def _lines(self) -> Sequence[str]:
        return self.path.read_text().splitlines() if self.path.exists() else ()

    def _check(self, there: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` unless finished episodes fit the settings."""
        pairs = [(key, there.get(key), wanted[key]) for key in wanted if key != "agents"]
        shared = there["agents"].keys() & wanted["agents"].keys()
        pairs += [(f"agents.{n}", there["agents"][n], wanted["agents"][n]) for n in sorted(shared)]
        for name, old, new in pairs:
            if old != new:
                raise ValueError(
                    f"{self.path.parent} holds episodes with another setting of {name}: use "
                    "another output, or delete the folder"
                )

    @staticmethod
    def _line(result: Result) -> str:
        return json.dumps(result._asdict()) + "\n"
