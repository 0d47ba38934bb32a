"""What a web agent is made of: who proposes, who imagines, who sums up, and who judges."""

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rlvr_world.web.action import Action
from rlvr_world.web.browser.session import Observation
from rlvr_world.web.changes import Changes
from rlvr_world.web.sites.site import Site


class Done(NamedTuple):
    """An action of the episode so far, and whether it changed the page."""

    action: Action
    changed: bool
    page: str
    """The page that it was done on, as text."""


@dataclass
class Situation:
    """Where an episode stands when the agent has to act.

    Args:
        site: The name of the site.
        task: The task.
        seed: The seed of its pages.
        observation: What the agent sees.
        history: What it has done.
        rng: Where all its choices come from.
        deadline: When it must have chosen, on the clock of ``time.monotonic``.
    """

    site: str
    task: str
    seed: int
    observation: Observation
    history: Sequence[Done] = ()
    rng: random.Random = field(default_factory=random.Random)
    deadline: float = float("inf")

    @property
    def seconds_left(self) -> float:
        """The seconds until the deadline; 0 or less once it is over."""
        return self.deadline - time.monotonic()


class Imagined(NamedTuple):
    """What an action is imagined to lead to.

    Args:
        changes: What changes on the page; None if there is no prediction that can be read.
        text: The prediction as it was written.
        error: Why there is none, in words.
        reward: The reward, where the imagination knows the episode to be over; else None.
    """

    changes: Changes | None = None
    text: str = ""
    error: str = ""
    reward: float | None = None


class Part:
    """A part of an agent; it is sent to other processes, so it opens what it needs late."""

    @property
    def settings(self) -> dict[str, Any]:
        """What it does, as plain data: attributes without ``_`` in front."""
        own = {key: value for key, value in vars(self).items() if not key.startswith("_")}
        return {"class": f"{type(self).__module__}.{type(self).__qualname__}", **own}

    def open(self, site: Site, chromium: str) -> None:
        """Get ready for episodes on a site, which is not shared with anyone."""

    def close(self) -> None:
        """Give back what ``open`` took."""


class Proposer(Part, ABC):
    """A policy that can be asked more than once."""

    @abstractmethod
    def propose(self, situation: Situation, count: int) -> list[Action]:
        """At most ``count`` actions, drawn one by one; what cannot be read is left out."""


class Imaginer(Part, ABC):
    """Foresees what actions change; a world model, or something that knows better."""

    @abstractmethod
    def imagine(self, situation: Situation, actions: Sequence[Action]) -> list[Imagined]:
        """What each of some actions leads to."""


class Summary(Part, ABC):
    """Says what an imagined outcome amounts to."""

    @abstractmethod
    def sum_up(self, situation: Situation, action: Action, imagined: Imagined) -> str:
        """The key changes in words."""


class Value(Part, ABC):
    """Judges imagined outcomes."""

    @abstractmethod
    def scores(
        self, situation: Situation, action: Action, imagined: Imagined, summary: str
    ) -> list[float]:
        """Scores from 1 to 5 of how well the outcome serves the objective.

        Several are judgements of the same outcome; none at all says that it could not be judged.
        """
