"""The command ``web-agent``: agents that plan with a world model, on the same pages."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from rich.console import Console

from rlvr_world.jobs import progress_bar
from rlvr_world.modules.checkpoint import code_commit
from rlvr_world.web.agent.agent import Agent
from rlvr_world.web.agent.episode import Limits
from rlvr_world.web.agent.results import EpisodeJournal, Job
from rlvr_world.web.agent.running import Plan, run_all
from rlvr_world.web.agent.table import AgentTable
from rlvr_world.web.browser.chromium import find_chromium, import_playwright
from rlvr_world.web.sites.webarena import WebArenaTasks
from rlvr_world.web.sources.recorder import Start, make_site

FIRST_SEED = 5_000_000
"""Pages from this seed on are in no recording with the recorder's seeds 0 to 99."""


def web_agent(
    agents: dict[str, Agent],
    output: Path,
    source: Literal["miniwob", "shop", "site", "webarena"] = "miniwob",
    tasks: Sequence[str] | None = None,
    seeds: int = 10,
    first_seed: int = FIRST_SEED,
    limits: Limits = Limits(),  # noqa: B008
    start: Start = Start(),  # noqa: B008
    shop_folder: str = "data/shop",
    webarena: WebArenaTasks = WebArenaTasks(),  # noqa: B008
    chromium: str | None = None,
    reports: int = 1,
    processes: int = 2,
) -> AgentTable:
    """Let agents that imagine before they act work on tasks in a browser, and compare them.

    Every row gets the same pages. Finished episodes are kept in episodes.jsonl: a run that was
    stopped goes on where it was, and more rows, tasks or seeds can be added. Writes web_agent.json,
    web_agent.csv, and a trace of each episode under traces/. Success is the share of episodes with
    the full reward 1, with Wilson's 95 % interval; the difference to the first row is paired by
    page, with a bootstrap interval over the pages of each task.

    Args:
        agents: The agents by the name of their row; the others are compared with the first one.
        output: Folder for the table, the journal and the traces.
        source: ``miniwob`` (MiniWoB++), ``shop`` (a shop and its dashboard, run here), ``site``
            (any site; it gives no reward) or ``webarena`` (sites of WebArena that you run).
        tasks: Tasks to work on; all if not given.
        seeds: Pages of each task.
        first_seed: The seed of the first page.
        limits: When an episode ends although it is not over.
        start: Where the source ``site`` starts.
        shop_folder: Where the shop keeps its files; they are made if they are not there.
        webarena: The addresses of the sites of the source ``webarena``.
        chromium: The browser's program; looked for on PATH if not given.
        reports: Pages of each task whose episodes get a report with pictures, in HTML.
        processes: Browsers at the same time; an agent with the true simulator has a second one.

    Returns:
        The table.
    """
    check(agents, seeds, processes)
    import_playwright()
    site = webarena.site() if source == "webarena" else make_site(source, start, shop_folder)
    pages = range(first_seed, first_seed + seeds)
    chosen = site.chosen_tasks(tasks)
    jobs = [Job(row, task, seed) for task in chosen for row in agents for seed in pages]
    about = {
        "source": site.name,
        "start": asdict(start),
        "limits": asdict(limits),
        "agents": {row: agent.settings for row, agent in agents.items()},
    }
    journal = EpisodeJournal(output)
    finished = journal.begin(about)
    shown = frozenset(range(first_seed, first_seed + reports))
    plan = Plan(site, agents, limits, output, find_chromium(chromium), shown)
    left = [job for job in jobs if job not in finished]
    console = Console()
    with progress_bar(console) as progress:
        bar = progress.add_task("episodes", total=len(jobs), completed=len(jobs) - len(left))
        if left:
            site.prepare()
        for ended in run_all(plan, left, processes):
            progress.advance(bar, ended)
    versions = {"playwright": version("playwright"), **site.versions}
    extra = {"seeds": seeds, "first_seed": first_seed, "commit": code_commit()}
    table = AgentTable.of(journal.read(), jobs, about | extra | {"versions": versions})
    table.save(output)
    console.print(table.rendered())
    return table


def check(agents: dict[str, Agent], seeds: int, processes: int) -> None:
    """Raise ``ValueError`` if there are no agents, or a number is not above 0."""
    if not agents:
        raise ValueError("agents: at least one is needed")
    for name, value in {"seeds": seeds, "processes": processes}.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
