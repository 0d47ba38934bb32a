"""Transitions of text games."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlvr_world.data.manifest import ShardManifest
from rlvr_world.data.stream import Example, MixedStream, RawSample
from rlvr_world.language.data import TransitionDataModule, TransitionReader
from rlvr_world.text_game.manifest import TextManifest, TextShard
from rlvr_world.text_game.renaming import renamed, vocabulary
from rlvr_world.text_game.renumbering import renumbered
from rlvr_world.text_game.transition import Mode, Transition
from rlvr_world.types import Batch

Rules = Mapping[str, Mapping[str, str]]
"""By game: its ``objects``, ``actions`` and ``score`` rules in words."""


@dataclass(frozen=True)
class GameReader(TransitionReader):
    """Reads one transition of each sample.

    Args:
        rules: The rules in words of each game that has any.
        words: The words that objects are renamed with in training; none if names stay.
        renumber: Whether objects of one type exchange their uuids in training.
    """

    rules: Rules
    words: tuple[str, ...] = ()
    renumber: bool = False

    def parse(self, document: Any, where: str) -> Transition:
        """The transition in a JSON document."""
        return Transition.from_json(document, where)

    def draw(self, sample: RawSample, rng: random.Random) -> list[Example]:
        """The sample's transition, told with other names and numbers."""
        return [e | {"transition": self.retold(e["transition"], rng)} for e in self.spread(sample)]

    def retold(self, transition: Transition, rng: random.Random) -> Transition:
        """The transition with other names if there are ``words``, and with other uuids."""
        if self.words:
            transition = renamed(transition, self.words, rng)
        return renumbered(transition, rng) if self.renumber else transition

    def collate(self, examples: list[Example]) -> Batch:
        """Lists of keys, of transitions and of their games' rules."""
        batch = super().collate(examples)
        rules = [self.rules.get(transition.game) for transition in batch["transition"]]
        return batch | {"rules": rules}


class TextDataModule(TransitionDataModule):
    """Transitions of text games.

    A batch holds lists of length B: ``key``; ``transition``, each a ``Transition``; and ``rules``,
    each the game's ``{"objects", "actions", "score"}`` in words, or None where they are not known.

    Args:
        root: Folder with the shards, their ``manifest.json`` and ``rules.json``.
        modes: Which of the transitions to read, of ``full``, ``action``, ``tick`` and ``score``.
        changed_share: Share of the training examples in which something changes, from 0 to 1; if
            not given, what it is in the data. Evaluation reads everything once.
        test_split: The split to test on: ``test``, or ``test_verbs`` where there is one.
        rename_objects: Give objects other names each time they are trained on, made of the words
            of all names in training; for games whose names mean nothing.
        renumber_objects: Let objects of one type exchange their uuids each time they are trained
            on; for games whose uuids mean nothing and stand in names only.
        **shards: See ``ShardDataModule``.
    """

    made_by = "rlvr-world data textworld (or bytesized32) --root {root}"
    manifest_type: type[ShardManifest] = TextManifest

    def __init__(
        self,
        root: str = "data/textworld",
        modes: Sequence[Mode] = ("full",),
        changed_share: float | None = None,
        test_split: str = "test",
        rename_objects: bool = False,
        renumber_objects: bool = False,
        **shards: Any,
    ) -> None:
        super().__init__(root, changed_share, test_split, **shards)
        if not modes:
            raise ValueError("modes must name at least one of full, action, tick and score")
        self.modes = tuple(modes)
        self.rename_objects = rename_objects
        self.renumber_objects = renumber_objects

    @property
    def which(self) -> str:
        """The modes, for error messages."""
        return f" of mode {', '.join(self.modes)}"

    def wanted(self, shard: TextShard) -> bool:
        """Whether a shard's mode is one of those to read."""
        return shard.mode in self.modes

    def reader(self, split: str) -> GameReader:
        """Reads transitions, and knows the rules of the games."""
        return GameReader(load_rules(self.root))

    def training_stream(self, **stream: Any) -> MixedStream:
        """Mixes transitions in which something changes with the others."""
        words = self.words() if self.rename_objects else ()
        stream["reader"] = replace(stream["reader"], words=words, renumber=self.renumber_objects)
        return super().training_stream(**stream)

    def words(self) -> tuple[str, ...]:
        """The words of the names of all objects in the training split."""
        batches = self.once("train")
        return vocabulary(step.state for batch in batches for step in batch["transition"])


def load_rules(root: str | Path) -> Rules:
    """The rules in words of the games of a folder, from ``rules.json``.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If it does not hold texts under ``objects``, ``actions`` and ``score`` by game.
    """
    path = Path(root) / "rules.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: make the data again, or write {{}} to it")
    try:
        rules = json.loads(path.read_text())
        sound = all(
            game.keys() == {"objects", "actions", "score"}
            and all(isinstance(text, str) for text in game.values())
            for game in rules.values()
        )
    except (ValueError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise ValueError(
            f"{path} must hold, for each game, texts under exactly objects, actions and score"
        )
    return rules
