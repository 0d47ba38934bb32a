"""Transitions of text games."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rlvr_world.data.example_reader import Example
from rlvr_world.files import read_json
from rlvr_world.language.data import Retelling, TransitionDataModule, TransitionReader
from rlvr_world.language.transition import Form, Style, TextTransition
from rlvr_world.text_game.prompt import answer_text, prompt_text
from rlvr_world.text_game.retelling import retold, vocabulary
from rlvr_world.text_game.transition import Mode, Transition
from rlvr_world.types import Batch

Rules = Mapping[str, Mapping[str, str]]
"""By game: its ``objects``, ``actions`` and ``score`` rules in words."""

SYNTAX = r'(?:[\]})",{]+[A-Za-z]+":[\[{]*(?:"(?![A-Za-z]+":)#?)?)+'
"""From one JSON value to the next: closing marks, keys, opening marks."""


@dataclass(frozen=True)
class GameReader(TransitionReader):
    """Reads one transition of each sample, with the rules in words of its game, if it has any."""

    rules: Rules = field(default_factory=dict)

    def collate(self, examples: list[Example]) -> Batch:
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
        rename_objects: Give objects other names each time they are trained on, made of the words
            of all names in training; for games whose names mean nothing.
        renumber_objects: Let objects of one type exchange their uuids each time they are trained
            on; for games whose uuids mean nothing and stand in names only.
        **options: See ``TransitionDataModule``.
    """

    made_by = "rlvr-world data textworld (or bytesized32) --root {root}"
    kind: ClassVar[type[TextTransition]] = Transition
    in_modes = True
    word_pattern = rf"{SYNTAX}| \([A-Za-z]+: | ?\d| ?[^\W\d_]+| ?[^\w\s]+|_|\s+"

    def __init__(
        self,
        root: str = "data/textworld",
        modes: Sequence[Mode] = ("full",),
        rename_objects: bool = False,
        renumber_objects: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(root=root, **options)
        if not modes:
            raise ValueError("modes must name at least one of full, action, tick and score")
        self.groups = tuple(modes)
        self.rename_objects = rename_objects
        self.renumber_objects = renumber_objects

    def reader(self, split: str) -> GameReader:
        return GameReader(self.kind, rules=load_rules(self.fetched(self.root, "rules.json")))

    def texts(self, batch: Batch, style: Style, form: Form) -> Iterator[str]:
        for step, rules in zip(batch["transition"], batch["rules"], strict=True):
            yield prompt_text(step, rules, style, form)
            yield answer_text(step, style, form)

    def documents(self) -> dict[str, Any]:
        return {"rules.json": load_rules(self.fetched(self.root, "rules.json"))}

    def retelling(self) -> Retelling | None:
        words: tuple[str, ...] = ()
        if self.rename_objects:
            words = vocabulary(step.state for step in self.steps("train"))
        return partial(retold, words=words, renumber=self.renumber_objects)


def load_rules(root: str | Path) -> Rules:
    """The rules in words of the games of a folder, from ``rules.json``."""
    path = Path(root) / "rules.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: make the data again, or write {{}} to it")
    try:
        rules = read_json(path)
        sound = all(
            game.keys() == {"objects", "actions", "score"}
            and all(isinstance(text, str) for text in game.values())
            for game in rules.values()
        )
    except (ValueError, AttributeError):
        sound = False
    if not sound:
        raise ValueError(
            f"{path} must hold, for each game, texts under exactly objects, actions and score"
        )
    return rules
