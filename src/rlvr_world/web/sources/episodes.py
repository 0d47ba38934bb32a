"""Episodes of a policy in a browser as transitions."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rlvr_world.web.browser.chromium import BrowserLost
from rlvr_world.web.browser.environment import WebEnvironment
from rlvr_world.web.page import WebTransition
from rlvr_world.web.sites.site import Site
from rlvr_world.web.sources.following import policy_class
from rlvr_world.web.sources.policies import Policy

FIRST_SEEDS = {"train": 1_000_000, "val": 2_000_000, "test": 3_000_000, "test_tasks": 4_000_000}
"""The seed of the first page of each split with the recorder's seed 0; the next seed is 10,000
further on, so pages of different splits have different seeds."""

MOST_LOSSES = 5
"""Lost episodes in a row after which recording gives up."""


class Job(NamedTuple):
    """One episode to record: its split, its task and its number among them."""

    split: str
    task: str
    number: int


@dataclass(frozen=True)
class Behaviour:
    """How episodes are recorded.

    Args:
        policies: Names of policies, which take turns.
        steps: Actions per episode, at most.
        seed: Where all choices come from.
        chromium: The browser's program; looked for on PATH if not given.
    """

    policies: Sequence[str]
    steps: int
    seed: int
    chromium: str | None


@dataclass
class Recorded:
    """What some episodes held: transitions with their splits, and counts of what happened."""

    transitions: list[tuple[str, WebTransition]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    losses: list[str] = field(default_factory=list)
    browser: str = ""


def page_seed(seed: int, split: str, number: int) -> int:
    """The seed of the page of an episode."""
    return FIRST_SEEDS[split] + 10_000 * seed + number


def record_episodes(jobs: Sequence[Job], site: Site, behaviour: Behaviour) -> Recorded:
    """Record episodes in one browser; one that is lost costs what it has not recorded yet.

    Raises:
        BrowserLost: ``MOST_LOSSES`` episodes in a row are lost.
    """
    recorded, losses_in_a_row = Recorded(), 0
    empty: set[str] = set()
    with WebEnvironment(site, behaviour.chromium) as environment:
        for job in jobs:
            if job.task in empty:
                recorded.counts["episodes_without_targets"] += 1
                continue
            try:
                if not _record_episode(job, environment, behaviour, recorded):
                    empty.add(job.task)
                losses_in_a_row = 0
            except BrowserLost as error:
                recorded.counts["episodes_lost"] += 1
                recorded.losses.append(f"{job.task}: {error}")
                losses_in_a_row += 1
                if losses_in_a_row == MOST_LOSSES:
                    raise
            recorded.browser = environment.version or recorded.browser
    return recorded


def _record_episode(
    job: Job, environment: WebEnvironment, behaviour: Behaviour, recorded: Recorded
) -> bool:
    """Record an episode; False if its page offers nothing to act on."""
    policy = _policy(job, behaviour)
    before = environment.reset(job.task, page_seed(behaviour.seed, job.split, job.number))
    recorded.counts["episodes"] += 1
    if len(before.elements) < 2:
        recorded.counts["episodes_without_targets"] += 1
        return False
    for _ in range(behaviour.steps):
        action = policy.act(before)
        if action.kind == "stop":
            break
        step = environment.step(action)
        recorded.counts["actions"] += 1
        if "error" in step.info:
            recorded.counts["actions_impossible"] += 1
        else:
            site = environment.site
            transition = before.transition(site.name, job.task, action, step.observation)
            split = site.split_of(job.split, transition)
            recorded.transitions.append((split, transition))
        before = step.observation
        if step.done:
            recorded.counts["episodes_over"] += 1
            recorded.counts["episodes_solved"] += step.reward > 0
            break
    return True


def _policy(job: Job, behaviour: Behaviour) -> Policy:
    name = behaviour.policies[job.number % len(behaviour.policies)]
    rng = random.Random(f"{behaviour.seed} {job.split} {job.task} {job.number}")
    return policy_class(name)(rng, job.task)
