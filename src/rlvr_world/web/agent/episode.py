"""One episode of an agent in a browser, with budgets and a full trace."""

import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rlvr_world.web.agent.agent import Agent
from rlvr_world.web.agent.components import Done, Situation
from rlvr_world.web.answer import changes_text
from rlvr_world.web.browser.environment import Step, WebEnvironment
from rlvr_world.web.browser.session import Observation
from rlvr_world.web.changes import extract

FULL = 1.0 - 1e-6
"""The reward from which on an episode counts as a success."""


@dataclass
class Limits:
    """When an episode ends although it is not over.

    Args:
        steps: Actions, at most.
        repeats: The same action so many times in a row, 2 or more.
        failures: So many steps in a row without an action that can be done.
        step_seconds: Time to decide one step; what is not imagined by then is left out.
    """

    steps: int = 10
    repeats: int = 3
    failures: int = 3
    step_seconds: float = 60.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value <= 0:
                raise ValueError(f"limits.{name} must be above 0, got {value}")
        if self.repeats < 2:
            raise ValueError(f"limits.repeats must be at least 2, got {self.repeats}")


@dataclass
class Episode:
    """How an episode went.

    Args:
        objective: What there was to do.
        reward: Its reward.
        reason: Why it ended: ``over``, ``stop``, ``steps``, ``repeats``, ``failures`` or ``lost``.
        steps: What happened in each step, as plain data.
        pictures: The page before each step and at the end, PNG; none if not wanted.
        seconds: How long it took.
    """

    objective: str = ""
    reward: float = 0.0
    reason: str = ""
    steps: list[dict[str, Any]] = field(default_factory=list)
    pictures: list[bytes] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def success(self) -> bool:
        """Whether the reward is the full one, 1."""
        return self.reward >= FULL


@dataclass
class Runner:
    """Runs an agent through episodes.

    Args:
        agent: The agent, which is open.
        environment: The browser.
        limits: When an episode ends although it is not over.
        with_pictures: Whether to keep pictures.
    """

    agent: Agent
    environment: WebEnvironment
    limits: Limits
    with_pictures: bool = False

    def run(self, task: str, seed: int) -> Episode:
        """Run one episode; all choices of a step come from the task, the seed and its number.

        Raises:
            BrowserLost: The page or the browser dies.
        """
        start = time.monotonic()
        history: list[Done] = []
        seen = self.environment.reset(task, seed)
        here = Situation(self.environment.site.name, task, seed, seen, history)
        episode = Episode(seen.objective)
        while not episode.reason:
            self._picture(episode)
            here.rng = random.Random(f"{task} {seed} {len(episode.steps)}")
            here.deadline = time.monotonic() + self.limits.step_seconds
            self._step(episode, here, history)
        self._picture(episode)
        episode.seconds = time.monotonic() - start
        return episode

    def _step(self, episode: Episode, here: Situation, history: list[Done]) -> None:
        start, seen = time.monotonic(), here.observation
        judgement = self.environment.site.judgement
        decision = self.agent.decide(here)
        record = {"url": seen.url, "page": seen.tree, **decision.record}
        record["seconds_to_decide"] = time.monotonic() - start
        episode.steps.append(record)
        action = decision.action
        if action is None:
            record["error"] = "nothing that was proposed is an action"
        elif action.kind == "stop":
            episode.reason, episode.reward = "stop", judgement(action.text)
        else:
            step = self.environment.step(action)
            record |= _outcome(seen, step)
            history.append(Done(action, seen.tree != step.observation.tree, seen.tree))
            episode.reward, episode.reason = step.reward, "over" if step.done else ""
            here.observation = step.observation
        record["seconds"] = time.monotonic() - start
        if not episode.reason:
            episode.reason = self._ended(episode.steps, history)
            if episode.reason:
                episode.reward = judgement("")

    def _ended(self, steps: Sequence[dict[str, Any]], history: Sequence[Done]) -> str:
        """The limit that is reached; empty if there is none."""
        limits = self.limits
        last = [done.action for done in history[-limits.repeats :]]
        if len(last) == limits.repeats and len(set(last)) == 1:
            return "repeats"
        recent = steps[-limits.failures :]
        if len(recent) == limits.failures and all("error" in step for step in recent):
            return "failures"
        return "steps" if len(steps) >= limits.steps else ""

    def _picture(self, episode: Episode) -> None:
        if self.with_pictures:
            episode.pictures.append(self.environment.screenshot())


def _outcome(seen: Observation, step: Step) -> dict[str, Any]:
    true = changes_text(extract(seen.elements, step.observation.elements), "long")
    return {"true_changes": true, "reward": step.reward, "done": step.done} | step.info
