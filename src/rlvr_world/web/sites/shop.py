"""A shop and its dashboard, run here: django-oscar on SQLite, on loopback."""

import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rlvr_world.extras import require
from rlvr_world.files import whole
from rlvr_world.web.browser.session import Session
from rlvr_world.web.page import WebTransition
from rlvr_world.web.sites.oscar import goods
from rlvr_world.web.sites.shop_tasks import TASKS, draw, is_done, is_held_out
from rlvr_world.web.sites.site import Outcome, Site

PROGRAMS = "rlvr_world.web.sites.oscar"
DATABASE = "shop.sqlite3"
PRODUCTS, SEED = 120, 0
SEED_SECONDS, START_SECONDS = 900, 60


class Shop(Site):
    """A shop of made-up goods.

    Every episode starts with the same goods, an empty cart and no customers.

    Args:
        folder: Where the shop is kept; it is made there if the folder does not exist.
    """

    name = "shop"
    alias = "http://shop"
    tasks = tuple(TASKS)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.copy: Path | None = None
        self.process: subprocess.Popen[str] | None = None
        self.about: dict[str, Any] = {}
        self.task = TASKS["buy"]

    @property
    def versions(self) -> dict[str, str]:
        return {name: version(name) for name in ("django", "django-oscar")}

    def prepare(self) -> None:
        """Make the shop, which takes a minute, unless it is there.

        Raises:
            ModuleNotFoundError: django-oscar is not installed.
            ValueError: The folder holds something else.
        """
        for package in ("oscar", "sorl"):
            require(package, "shop", "the shop")
        if (self.folder / DATABASE).exists():
            return
        if self.folder.exists() and any(self.folder.iterdir()):
            raise ValueError(
                f"{self.folder} holds files but no {DATABASE}: use another shop_folder"
            )
        with whole(self.folder) as folder:
            folder.mkdir()
            command = [sys.executable, "-m", f"{PROGRAMS}.seed", str(folder.absolute())]
            subprocess.run(
                [*command, str(PRODUCTS), str(SEED)],
                check=True, timeout=SEED_SECONDS, stdin=subprocess.DEVNULL, capture_output=True,
            )  # fmt: skip

    def start(self) -> None:
        """Serve a copy of the shop, at the same port if it was served before."""
        if self.process is not None and self.process.poll() is None:
            return
        self.prepare()
        port = self.origins[0].rpartition(":")[2] if self.origins else "0"
        self.close()
        self.copy = Path(tempfile.mkdtemp(prefix="rlvr-world-shop-"))
        shutil.copytree(self.folder, self.copy, dirs_exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", f"{PROGRAMS}.serve", str(self.copy), port],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line.strip().isdigit():
            self.close()
            raise RuntimeError(f"the shop in {self.folder} cannot be served")
        self.origins = (f"http://127.0.0.1:{int(line)}",)

    def close(self) -> None:
        """Stop serving, and delete the copy."""
        process, self.process = self.process, None
        if process is not None:
            process.communicate(timeout=START_SECONDS)
        if self.copy is not None:
            shutil.rmtree(self.copy, ignore_errors=True)
            self.copy = None

    async def begin(self, session: Session, task: str, seed: int) -> str:
        """Put the shop back to its start and open the first page of a task."""
        database = self._database()
        shutil.copyfile(self.folder / DATABASE, database)
        self.task, self.about = TASKS[task], draw(database, seed)
        if self.task.is_staff:
            cookie = {"name": "sessionid", "value": goods.SESSION, "url": self.origins[0]}
            await session.context.add_cookies([cookie])
        await session.tab.goto(self.origins[0] + self.task.start)
        return self.task.objective.format(**self.about)

    async def outcome(self, session: Session) -> Outcome:
        done = is_done(self.task, self.about, self._database(), session.tab.page.url)
        return Outcome(float(done), done)

    def split_of(self, split: str, transition: WebTransition) -> str:
        """Held-out pages have a split of their own."""
        held_out = is_held_out(transition.url) or is_held_out(transition.next_url)
        return "test_pages" if held_out else split

    def _database(self) -> Path:
        if self.copy is None:
            raise RuntimeError("the shop is not served: start it first")
        return self.copy / DATABASE
