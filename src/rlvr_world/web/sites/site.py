"""What a browser visits: sites with tasks."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from rlvr_world.web.browser.chromium import origin_of
from rlvr_world.web.browser.session import Session
from rlvr_world.web.page import WebTransition


class Outcome(NamedTuple):
    """How an episode stands: the reward, and whether it is over."""

    reward: float = 0.0
    done: bool = False


class Site(ABC):
    """A site with tasks; it is started before its tasks are asked for and closed at the end."""

    name: ClassVar[str]
    viewport: ClassVar[tuple[int, int]] = (1280, 720)
    quiet: ClassVar[float] = 0.1
    """Seconds without a change after which a page is read."""

    limit: ClassVar[float] = 2.0
    """Seconds after which a page is read though it still changes."""

    remembers: ClassVar[bool] = True
    """Whether pages may leave cookies or other traces, so that every episode needs a new session,
    which costs about half a second."""

    alias: ClassVar[str] = ""
    """The origin that observations and actions name instead of the first one, whose port differs
    from run to run; empty to name it as it is."""

    held_out_tasks: ClassVar[Sequence[str]] = ()
    """Tasks that recordings keep for tests unless others are named."""

    origins: tuple[str, ...] = ()
    """The origins that its pages may reach, once it is started."""

    @property
    @abstractmethod
    def tasks(self) -> Sequence[str]:
        """The names of its tasks."""

    @property
    def versions(self) -> dict[str, str]:
        """The versions of what it is made of."""
        return {}

    def prepare(self) -> None:  # noqa: B027
        """Do once what takes long, before processes are started."""

    def start(self) -> None:  # noqa: B027
        """Start what serves the pages, anew if it does not answer any more."""

    def close(self) -> None:  # noqa: B027
        """Stop what serves the pages."""

    def shown(self, url: str) -> str:
        """An address as observations have it."""
        return _renamed(url, self.origins[0], self.alias) if self.alias else url

    def reached(self, url: str) -> str:
        """The address that an observation or an action means."""
        return _renamed(url, self.alias, self.origins[0]) if self.alias else url

    @abstractmethod
    async def begin(self, session: Session, task: str, seed: int) -> str:
        """Bring a fresh session to the start of a task and return the objective in words."""

    def split_of(self, split: str, transition: WebTransition) -> str:
        """The split of a transition from an episode of a split."""
        return split

    async def outcome(self, session: Session) -> Outcome:
        """How the episode stands after an action."""
        return Outcome()

    def judgement(self, answer: str) -> float:
        """The reward of an episode that ends before it is over, given the answer of ``stop``."""
        return 0.0

    def chosen_tasks(self, wanted: Sequence[str] | None) -> list[str]:
        """All tasks, or the wanted ones.

        Raises:
            ValueError: One of them is no task.
        """
        return list(self.tasks) if wanted is None else names_of(self.tasks, wanted, "tasks")


class AnySite(Site):
    """A site that is not ours, from an address on.

    Args:
        url: The address to start at.
        origins: Other origins that its pages may reach, such as ``https://cdn.example.org``.
        objective: What to do there, in words.

    Raises:
        ValueError: The address or an origin is none of the web.
    """

    name = "site"
    tasks = ("visit",)

    def __init__(self, url: str, origins: Sequence[str] = (), objective: str = "") -> None:
        for address in (url, *origins):
            if not origin_of(address):
                raise ValueError(f"{address!r} must be an address such as https://example.org/")
        self.url, self.objective = url, objective
        self.origins = tuple(dict.fromkeys(map(origin_of, (url, *origins))))

    async def begin(self, session: Session, task: str, seed: int) -> str:
        await session.tab.goto(self.url)
        return self.objective


def _renamed(url: str, old: str, new: str) -> str:
    """An address with another origin, if it has the old one."""
    rest = url.removeprefix(old)
    return new + rest if rest != url and rest[:1] in ("", "/", "?", "#") else url


def names_of(tasks: Sequence[str], wanted: Sequence[str], what: str) -> list[str]:
    """The wanted ones among tasks.

    Raises:
        ValueError: One of them is no task.
    """
    for name in wanted:
        if name not in tasks:
            raise ValueError(f"{what}: there is no task {name}; tasks are {', '.join(tasks)}")
    return list(wanted)


def text_of(value: Any) -> str:
    """What a page says a text is, as a short text on one line, whatever it is."""
    return " ".join(str(value)[:2000].split())
