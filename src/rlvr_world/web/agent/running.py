"""Episodes of all agents, in several processes."""

import os
import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import torch

from rlvr_world.files import write_json, write_text
from rlvr_world.jobs import in_processes
from rlvr_world.web.agent.agent import Agent
from rlvr_world.web.agent.episode import Episode, Limits, Runner
from rlvr_world.web.agent.report import report
from rlvr_world.web.agent.results import EpisodeJournal, Job, Result
from rlvr_world.web.browser.chromium import BrowserLost
from rlvr_world.web.browser.environment import WebEnvironment
from rlvr_world.web.sites.site import Site

ATTEMPTS = 2
"""How often an episode is started whose browser is lost."""

MOST_LOSSES = 3
"""Lost episodes in a row after which a run gives up; they do not count then."""


@dataclass(frozen=True)
class Plan:
    """What all episodes of a run share.

    Args:
        site: The site, which is not started.
        agents: The agents by row.
        limits: When an episode ends although it is not over.
        output: Folder of the journal and the traces.
        chromium: The browser's program.
        shown: Seeds whose episodes get a report with pictures.
    """

    site: Site
    agents: dict[str, Agent]
    limits: Limits
    output: Path
    chromium: str
    shown: frozenset[int] = frozenset()


def run_all(plan: Plan, jobs: Sequence[Job], processes: int) -> Iterator[int]:
    """Run episodes; yields how many have ended each time some have.

    Jobs of one row and one task that follow each other share a browser.
    """
    shares = [list(share) for _, share in groupby(jobs, key=lambda job: job[:2])]
    threads = max((os.cpu_count() or 1) // processes, 1)
    calls = [(plan, share) for share in shares]
    return in_processes(run_share, calls, processes, torch.set_num_threads, (threads,))


def run_share(plan: Plan, jobs: Sequence[Job]) -> int:
    """Run episodes of one row in one browser, note each when it ends, and return their number.

    Raises:
        BrowserLost: ``MOST_LOSSES`` episodes in a row are lost.
    """
    journal = EpisodeJournal(plan.output)
    lost: list[Result] = []
    agent = plan.agents[jobs[0].row]
    environment = WebEnvironment(deepcopy(plan.site), plan.chromium)
    with environment, agent.opened(plan.site, plan.chromium):
        for job in jobs:
            shown = job.seed in plan.shown
            episode = _episode(Runner(agent, environment, plan.limits, shown), job)
            _keep(plan, job, episode)
            lost.append(Result.of(job, episode))
            if episode.reason != "lost":
                journal.add(lost)
                lost = []
            elif len(lost) == MOST_LOSSES:
                raise BrowserLost(f"{MOST_LOSSES} episodes in a row lost their browser")
    journal.add(lost)
    return len(jobs)


def _episode(runner: Runner, job: Job) -> Episode:
    """The episode of a job; it is started again if the browser is lost, and fails in the end."""
    for _ in range(ATTEMPTS):
        try:
            return runner.run(job.task, job.seed)
        except BrowserLost as error:
            lost = Episode(objective=str(error), reason="lost")
    return lost


def _keep(plan: Plan, job: Job, episode: Episode) -> None:
    """Write the trace, and the report if there are pictures."""
    folder = plan.output / "traces" / _file_name(job.row) / _file_name(job.task)
    about = asdict(episode) | {"success": episode.success, **job._asdict()}
    del about["pictures"]
    write_json(folder / f"{job.seed}.json", about)
    if job.seed in plan.shown:
        write_text(folder / f"{job.seed}.html", report(job, episode))


def _file_name(name: str) -> str:
    """A name without what means something in a path."""
    return re.sub(r"[^\w-]+", "_", name) or "_"
