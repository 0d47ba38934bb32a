"""What a web agent is made of: a proposer, an imaginer, a summary and a value."""

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rlvr_world.web.action import Action
from rlvr_world.web.browser.session import Observation
from rlvr_world.web.changes import Changes
from rlvr_world.web.page import WebTransition
from rlvr_world.web.sites.site import Site


class Done(NamedTuple):
    """An action of the episode so far.

    Args:
        action: The action.
        changed: Whether it changed the page.
        page: The page before it, as text.
    """

    action: Action
    changed: bool
    page: str


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

    def transition(self, action: Action) -> WebTransition:
        """The step to predict, without the page after it."""
        return self.observation.transition(self.site, self.task, action)


class Imagined(NamedTuple):
    """What an action is imagined to lead to.

    Args:
        changes: What changes on the page; None without a readable prediction.
        text: The prediction as it was written.
        error: Why there is none, in words.
        reward: The reward if the imaginer knows that the episode is over; else None.
    """

    changes: Changes | None = None
    text: str = ""
    error: str = ""
    reward: float | None = None


class Component:
    """A component of an agent; it is sent to other processes, so it opens what it needs late."""

    @property
    def settings(self) -> dict[str, Any]:
        """What it does, as plain data: attributes without ``_`` in front."""
        own = {key: value for key, value in vars(self).items() if not key.startswith("_")}
        return {"class": f"{type(self).__module__}.{type(self).__qualname__}", **own}

    def open(self, site: Site, chromium: str) -> None:
        """Get ready for episodes on a site, which is not shared with anyone."""

    def close(self) -> None:
        """Give back what ``open`` took."""


class Proposer(Component, ABC):
    """A policy that can be asked more than once."""

    @abstractmethod
    def propose(self, situation: Situation, count: int) -> list[Action]:
        """At most ``count`` actions, drawn one by one; what cannot be read is left out."""


class Imaginer(Component, ABC):
    """Foresees what actions change; a world model, or something that knows better."""

    @abstractmethod
    def imagine(self, situation: Situation, actions: Sequence[Action]) -> list[Imagined]:
        """What each of some actions leads to."""


class Summary(Component, ABC):
    """Says what an imagined outcome amounts to."""

    @abstractmethod
    def sum_up(self, situation: Situation, action: Action, imagined: Imagined) -> str:
        """The key changes in words, for the value to read."""


class Value(Component, ABC):
    """Judges imagined outcomes."""

    @abstractmethod
    def scores(
        self, situation: Situation, action: Action, imagined: Imagined, summary: str
    ) -> list[float]:
        """Scores from 1 to 5 of how well the outcome serves the objective.

        Several are judgements of the same outcome; none at all says that it could not be judged.
        """
