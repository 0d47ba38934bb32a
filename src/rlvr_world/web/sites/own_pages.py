"""Small pages of our own, from which the recording that comes with the package is made."""

from collections.abc import Sequence
from pathlib import Path

from rlvr_world.web.browser.session import Session
from rlvr_world.web.sites.folder_site import FolderSite
from rlvr_world.web.sites.site import text_of

BEGIN = "seed => begin(seed)"


class OwnPages(FolderSite):
    """Forms, lists, tabs, dialogs, a cart: one page a task, in ``pages``.

    A page's script defines ``begin(seed)``, which draws the page and returns the objective. There
    are no rewards.
    """

    name = "pages"
    alias = "http://pages"
    folder = Path(__file__).with_name("pages")
    held_out_tasks = ("order", "party", "settings")

    @property
    def tasks(self) -> Sequence[str]:
        """The names of the pages."""
        return sorted(path.stem for path in self.folder.glob("*.html"))

    async def begin(self, session: Session, task: str, seed: int) -> str:
        """Open the page of a task and let it draw itself."""
        page = session.tab.page
        await page.goto(f"{self.origins[0]}/{task}.html")
        return text_of(await page.evaluate(BEGIN, seed))
