"""Episodes of all agents, in several processes."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from copy import deepcopy
from dataclasses import asdict, dataclass
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

import torch

from rlvr_world.evaluation.files import json_text, write_whole
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
    if processes == 1:
        for share in shares:
            run_share(plan, share)
            yield len(share)
        return
    threads = max((os.cpu_count() or 1) // processes, 1)
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, context, torch.set_num_threads, (threads,)) as pool:
        try:
            waiting = {pool.submit(run_share, plan, share): len(share) for share in shares}
            for future in as_completed(waiting):
                future.result()
                yield waiting[future]
        finally:
            pool.shutdown(cancel_futures=True)


def run_share(plan: Plan, jobs: Sequence[Job]) -> None:
    """Run episodes of one row in one browser and note each when it ends.

    Raises:
        BrowserLost: If nothing works any more.
    """
    journal, lost = EpisodeJournal(plan.output), []
    agent = plan.agents[jobs[0].row]
    environment = WebEnvironment(deepcopy(plan.site), plan.chromium)
    with environment, agent.opened(plan.site, plan.chromium):
        for job in jobs:
            shown = job.seed in plan.shown
            episode = _episode(Runner(agent, environment, plan.limits, shown), job)
            result = as_result(job, episode)
            _keep(plan, job, episode)
            lost.append(result)
            if episode.reason != "lost":
                journal.add(lost)
                lost = []
            elif len(lost) == MOST_LOSSES:
                raise BrowserLost(f"{MOST_LOSSES} episodes in a row lost their browser")
    journal.add(lost)


def as_result(job: Job, episode: Episode) -> Result:
    """What the journal keeps of an episode."""
    return Result(
        *job,
        reward=episode.reward,
        success=episode.success,
        steps=len(episode.steps),
        reason=episode.reason,
        seconds=round(episode.seconds, 3),
        seconds_to_decide=round(sum(s["seconds_to_decide"] for s in episode.steps), 3),
    )


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
    write_whole(folder / f"{job.seed}.json", json_text(json.loads(json.dumps(about))))
    if job.seed in plan.shown:
        write_whole(folder / f"{job.seed}.html", report(job, episode))


def _file_name(name: str) -> str:
    """A name without what means something in a path."""
    return re.sub(r"[^\w-]+", "_", name) or "_"
