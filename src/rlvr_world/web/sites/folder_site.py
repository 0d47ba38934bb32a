"""Sites whose pages are the files of a folder."""

from abc import abstractmethod
from pathlib import Path

from rlvr_world.web.sites.folder_server import FolderServer
from rlvr_world.web.sites.site import Site


class FolderSite(Site):
    """A folder's pages, served on loopback; each names a task and has no traces to leave."""

    viewport = (500, 400)
    remembers = False
    quiet = 0.025
    limit = 0.6

    def __init__(self) -> None:
        self.server: FolderServer | None = None

    @property
    @abstractmethod
    def folder(self) -> Path:
        """The folder."""

    def start(self) -> None:
        """Serve the pages."""
        if self.server is None:
            self.server = FolderServer(self.folder)
            self.origins = (self.server.origin,)

    def close(self) -> None:
        """Stop serving."""
        if self.server is not None:
            self.server.close()
            self.server = None
