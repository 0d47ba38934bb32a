"""MiniWoB++: over a hundred small pages, each a task with a reward (Liu et al., 2018)."""

import importlib.util
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from rlvr_world.web.browser.chromium import find_chromium, import_playwright
from rlvr_world.web.browser.session import Session
from rlvr_world.web.sites.folder_site import FolderSite
from rlvr_world.web.sites.site import Outcome

HELD_OUT = (
    "book-flight-nodelay", "choose-date-medium", "click-button-sequence",
    "click-checkboxes-transfer", "click-collapsible-2-nodelay", "click-menu-2",
    "click-tab-2-medium", "count-sides", "email-inbox-star-reply", "enter-text-dynamic",
    "find-word", "form-sequence-2", "guess-number", "login-user-popup", "multi-orderings",
    "navigate-tree", "phone-book", "read-table-2", "social-media-some", "use-slider-2",
)  # fmt: skip
"""Tasks that recordings keep for tests: some have a sister to train on, some have none."""

BEGIN = """seed => {
  Math.seedrandom(seed);
  core.EPISODE_MAX_TIME = 1e6;
  core.startEpisodeReal();
  const style = document.createElement('style');
  style.textContent = '#click-canvas, #sync-task-cover, #query, #reward-display'
    + ' { display: none !important }';
  document.head.append(style);
  const words = core.getUtterance();
  return typeof words === 'string' ? words : words.utterance;
}"""

OUTCOME = """() => {
  if (WOB_DONE_GLOBAL && !document.getElementById('episode-outcome')) {
    const line = document.createElement('p');
    line.id = 'episode-outcome';
    line.textContent = 'Last reward: ' + WOB_RAW_REWARD_GLOBAL.toFixed(2);
    document.body.append(line);
  }
  return [WOB_RAW_REWARD_GLOBAL, WOB_DONE_GLOBAL];
}"""


class MiniWoB(FolderSite):
    """The pages of the package miniwob, served on loopback.

    The instruction is the objective and not on the page. When an episode is over, the page says its
    reward in a line of text, as MiniWoB++'s own display does; time does not lower the reward.

    Raises:
        ModuleNotFoundError: The package miniwob is not installed.
    """

    name = "miniwob"
    alias = "http://miniwob"
    held_out_tasks = HELD_OUT

    @cached_property
    def folder(self) -> Path:
        """The pages of the package, which is not imported itself."""
        package = importlib.util.find_spec("miniwob")
        if package is None or package.origin is None:
            raise ModuleNotFoundError(
                "MiniWoB++ needs the package miniwob: pip install 'rlvr-world[web]'"
            )
        return Path(package.origin).parent / "html"

    @cached_property
    def tasks(self) -> Sequence[str]:
        return sorted(path.stem for path in (self.folder / "miniwob").glob("*.html"))

    @property
    def versions(self) -> dict[str, str]:
        return {"miniwob": version("miniwob")}

    async def begin(self, session: Session, task: str, seed: int) -> str:
        return await self.opened(session, f"miniwob/{task}", BEGIN, str(seed))

    async def outcome(self, session: Session) -> Outcome:
        """The reward, from -1 to 1, as the page has it."""
        reward, done = await session.tab.page.evaluate(OUTCOME)
        return Outcome(float(reward) if done else 0.0, bool(done))


def missing_for_miniwob() -> str:
    """Which program or package MiniWoB++ in a browser lacks, in a sentence; empty if none."""
    try:
        import_playwright()
        find_chromium()
        MiniWoB().tasks  # noqa: B018
    except (FileNotFoundError, ModuleNotFoundError) as error:
        return str(error)
    return ""
