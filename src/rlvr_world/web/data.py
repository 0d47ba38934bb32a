"""Transitions of web pages."""

import random
from dataclasses import dataclass, replace
from typing import Any

from rlvr_world.data.manifest import ShardManifest
from rlvr_world.data.stream import Example, MixedStream, RawSample
from rlvr_world.language.data import TransitionDataModule, TransitionReader
from rlvr_world.web.manifest import WebManifest
from rlvr_world.web.page import WebTransition
from rlvr_world.web.retelling import content_words, renumbered, reworded


@dataclass(frozen=True)
class PageReader(TransitionReader):
    """Reads one transition of each sample.

    Args:
        words: Content words that replace each other in training; none if words stay.
        renumber: Whether elements get other ids in training.
    """

    words: tuple[str, ...] = ()
    renumber: bool = False

    def parse(self, document: Any, where: str) -> WebTransition:
        """The transition in a JSON document."""
        return WebTransition.from_json(document, where)

    def draw(self, sample: RawSample, rng: random.Random) -> list[Example]:
        """The sample's transition, told with other words and ids."""
        return [e | {"transition": self.retold(e["transition"], rng)} for e in self.spread(sample)]

    def retold(self, transition: WebTransition, rng: random.Random) -> WebTransition:
        """The transition with other words if there are any to choose from, and with other ids."""
        if self.words:
            transition = reworded(transition, self.words, rng)
        return renumbered(transition, rng) if self.renumber else transition


class WebDataModule(TransitionDataModule):
    """Transitions of web pages.

    A batch holds lists of length B: ``key``, and ``transition``, each a ``WebTransition``.

    Args:
        root: Folder with the shards and their ``manifest.json``.
        changed_share: Share of the training examples in which something changes, from 0 to 1; if
            not given, what it is in the data. Evaluation reads everything once.
        test_split: The split to test on: ``test``, ``test_tasks`` for tasks that training never
            shows, or ``test_pages`` for such pages, where there are any.
        reword: Exchange words that differ from page to page of a task each time a step is trained
            on, such as those of names and of filler text, so that a model learns to read them.
        renumber: Give elements other ids each time, in the same order.
        **shards: See ``ShardDataModule``.
    """

    made_by = "rlvr-world data web (or webarena) --root {root}"
    manifest_type: type[ShardManifest] = WebManifest

    def __init__(
        self,
        root: str = "data/web",
        changed_share: float | None = None,
        test_split: str = "test",
        reword: bool = False,
        renumber: bool = False,
        **shards: Any,
    ) -> None:
        super().__init__(root, changed_share, test_split, **shards)
        self.reword, self.renumber = reword, renumber

    def reader(self, split: str) -> PageReader:
        """Reads transitions."""
        return PageReader()

    def training_stream(self, **stream: Any) -> MixedStream:
        """Mixes transitions in which something changes with the others."""
        words = self.words() if self.reword else ()
        stream["reader"] = replace(stream["reader"], words=words, renumber=self.renumber)
        return super().training_stream(**stream)

    def words(self) -> tuple[str, ...]:
        """The content words of the training split."""
        return content_words(step for batch in self.once("train") for step in batch["transition"])
