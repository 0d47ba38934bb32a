"""Recordings of web pages in a real browser."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

from rlvr_world.jobs import progress_bar
from rlvr_world.language.manifest import TransitionManifest
from rlvr_world.language.recorded import recording
from rlvr_world.web.browser.chromium import find_chromium, import_playwright
from rlvr_world.web.sites.miniwob import MiniWoB
from rlvr_world.web.sites.own_pages import OwnPages
from rlvr_world.web.sites.shop import Shop
from rlvr_world.web.sites.site import AnySite, Site, names_of
from rlvr_world.web.sources.episodes import Behaviour, Job, Recorded, record_episodes
from rlvr_world.web.sources.following import POLICIES, policy_class

EPISODES_PER_BROWSER = 100


@dataclass
class TaskEpisodes:
    """How many episodes each task gets in each split; no page seed is in two splits.

    Args:
        train: Episodes to train on.
        val: Episodes to choose checkpoints on.
        test: Episodes for the tables.
        test_tasks: Episodes of each held-out task, for the tables.
    """

    train: int = 20
    val: int = 2
    test: int = 4
    test_tasks: int = 8


@dataclass
class Start:
    """Where the source ``site`` starts.

    Args:
        url: The address of its first page.
        origins: Other origins that its pages may reach, such as ``https://cdn.example.org``.
        objective: What to do there, in words.
    """

    url: str = ""
    origins: Sequence[str] = ()
    objective: str = ""


class WebRecorder:
    """Records what actions change on web pages, in headless Chromium.

    Pages reach the site's origins and nothing else. An episode whose page or browser dies keeps
    what it recorded until then and is counted as lost. Pages and choices are seeded; how far a page
    has come when it is read is a matter of time, so two recordings are alike, not equal.

    Args:
        source: ``miniwob`` (MiniWoB++), ``pages`` (a few small pages of our own), ``shop`` (a shop
            and its dashboard, run here) or ``site`` (any site).
        root: Folder for the shards and their manifest.
        tasks: Tasks to record; all if not given.
        held_out_tasks: Tasks to keep for the split ``test_tasks``; a fixed choice if not given.
        episodes: Episodes per task and split.
        steps: Actions per episode, at most; those that repeat on the same page are kept once.
        policies: Policies that take turns: random, exploring, following, or the full path of a
            class, such as ``my_module.MyPolicy``.
        start: Where the source ``site`` starts.
        shop_folder: Where the shop keeps its files; they are made if they are not there.
        chromium: The browser's program; found on PATH if not given.
        seed: Where all choices come from.
        processes: Browsers at the same time.
    """

    def __init__(
        self,
        source: Literal["miniwob", "pages", "shop", "site"] = "miniwob",
        root: str = "data/web",
        tasks: Sequence[str] | None = None,
        held_out_tasks: Sequence[str] | None = None,
        episodes: TaskEpisodes = TaskEpisodes(),  # noqa: B008
        steps: int = 12,
        policies: Sequence[str] = tuple(POLICIES),
        start: Start = Start(),  # noqa: B008
        shop_folder: str = "data/shop",
        chromium: str | None = None,
        seed: int = 0,
        processes: int = 2,
    ) -> None:
        for name, value in {
            "steps": steps,
            "processes": processes,
            "policies": len(policies),
        }.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        for name in policies:
            policy_class(name)
        self.root = Path(root)
        self.site = make_site(source, start, shop_folder)
        self.chromium = chromium
        self.processes = processes
        self.wanted = (tasks, held_out_tasks)
        self.settings = {
            "episodes": asdict(episodes),
            "steps": steps,
            "policies": list(policies),
            "start": asdict(start) | {"origins": list(start.origins)},
            "seed": seed,
        }

    def record(self) -> TransitionManifest:
        """Record all episodes, write the manifest and return it.

        Raises:
            FileNotFoundError: If there is no Chromium.
            ModuleNotFoundError: If a package is not installed.
            ValueError: If the folder holds other data, or a task is unknown.
        """
        import_playwright()
        program = find_chromium(self.chromium)
        tasks, held_out = self._tasks()
        settings = self.settings | {"tasks": tasks, "held_out_tasks": held_out}
        manifest = TransitionManifest.finished(self.root, self.site.name, settings)
        if manifest is not None:
            return manifest
        self.site.prepare()
        behaviour = Behaviour(
            policies=self.settings["policies"],
            steps=self.settings["steps"],
            seed=self.settings["seed"],
            chromium=program,
        )
        counts: Counter[str] = Counter()
        losses: list[str] = []
        browser = ""
        with recording(self.root) as spool:
            for recorded in self._recorded(self._jobs(tasks, held_out), behaviour):
                for split, transition in recorded.transitions:
                    spool.add(transition, split)
                counts += recorded.counts
                losses += recorded.losses
                browser = recorded.browser or browser
            versions = {"playwright": version("playwright"), "chromium": browser}
            return spool.finish(
                lambda entry: entry.unit,
                behaviour.seed,
                source=self.site.name,
                settings=settings,
                rows=dict(counts) | {"losses": losses},
                versions=versions | self.site.versions,
            )

    def _tasks(self) -> tuple[list[str], list[str]]:
        """The tasks to record, and those of them that are held out."""
        every, (wanted, held_out) = self.site.tasks, self.wanted
        tasks = list(every) if wanted is None else names_of(every, wanted, "tasks")
        if held_out is None:
            return tasks, [name for name in self.site.held_out_tasks if name in tasks]
        return tasks, names_of(tasks, held_out, "held_out_tasks")

    def _jobs(self, tasks: Sequence[str], held_out: Sequence[str]) -> list[Job]:
        """All episodes, those of a task one after the other."""
        episodes = self.settings["episodes"]
        splits = {
            task: ["test_tasks"] if task in held_out else ["train", "val", "test"] for task in tasks
        }
        return [
            Job(split, task, index)
            for task in tasks
            for split in splits[task]
            for index in range(episodes[split])
        ]

    def _recorded(self, jobs: Sequence[Job], behaviour: Behaviour) -> Iterator[Recorded]:
        """What all episodes held, in order, whichever process recorded them."""
        size = min(EPISODES_PER_BROWSER, -(-len(jobs) // self.processes) or 1)
        shares = [jobs[first : first + size] for first in range(0, len(jobs), size)]
        record = partial(record_episodes, site=self.site, behaviour=behaviour)
        with progress_bar() as progress:
            task = progress.add_task("recording", total=len(jobs))
            if self.processes == 1:
                found = map(record, shares)
                for share, recorded in zip(shares, found, strict=True):
                    progress.advance(task, len(share))
                    yield recorded
                return
            with ProcessPoolExecutor(self.processes, get_context("spawn")) as pool:
                try:
                    for share, recorded in zip(shares, pool.map(record, shares), strict=True):
                        progress.advance(task, len(share))
                        yield recorded
                finally:
                    pool.shutdown(cancel_futures=True)


def make_site(source: str, start: Start, shop_folder: str) -> Site:
    """The site of a source.

    Raises:
        ValueError: If ``start`` is given to a source that has its own, or is not an address.
    """
    if source == "site":
        return AnySite(start.url, start.origins, start.objective)
    if start.url or start.origins or start.objective:
        raise ValueError(f"start belongs to the source site, not to {source}")
    if source == "shop":
        return Shop(Path(shop_folder))
    return OwnPages() if source == "pages" else MiniWoB()
