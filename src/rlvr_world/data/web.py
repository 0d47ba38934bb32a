"""Transitions of web pages."""

from dataclasses import dataclass
from typing import Any

from rlvr_world.data.manifest import ShardManifest
from rlvr_world.data.transitions import TransitionDataModule, TransitionReader
from rlvr_world.data.web_manifest import WebManifest
from rlvr_world.states.web_page import WebTransition


@dataclass(frozen=True)
class PageReader(TransitionReader):
    """Reads one transition of each sample."""

    def parse(self, document: Any, where: str) -> WebTransition:
        """The transition in a JSON document."""
        return WebTransition.from_json(document, where)


class WebDataModule(TransitionDataModule):
    """Transitions of web pages.

    A batch holds lists of length B: ``key``, and ``transition``, each a ``WebTransition``.

    Args:
        root: Folder with the shards and their ``manifest.json``.
        changed_share: Share of the training examples in which something changes, from 0 to 1; if
            not given, what it is in the data. Evaluation reads everything once.
        test_split: The split to test on: ``test``, ``test_tasks`` for tasks that training never
            shows, or ``test_pages`` for such pages, where there are any.
        **shards: See ``ShardDataModule``.
    """

    made_by = "rlvr-world data web (or webarena) --root {root}"
    manifest_type: type[ShardManifest] = WebManifest

    def __init__(
        self,
        root: str = "data/web",
        changed_share: float | None = None,
        test_split: str = "test",
        **shards: Any,
    ) -> None:
        super().__init__(root, changed_share, test_split, **shards)

    def reader(self, split: str) -> PageReader:
        """Reads transitions."""
        return PageReader()
