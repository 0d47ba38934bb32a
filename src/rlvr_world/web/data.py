"""Transitions of web pages."""

from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

from rlvr_world.language.data import Retelling, TransitionDataModule
from rlvr_world.language.transition import Form, Style, TextTransition
from rlvr_world.types import Batch
from rlvr_world.web.page import WebTransition
from rlvr_world.web.prompt import page_answer, page_prompt
from rlvr_world.web.retelling import content_words, retold

FLAGS = r"(?: [a-z]+: (?:true|false|mixed)?)"
"""The name of a property of an element; with its value where that is a state."""

SECTIONS = r"(?:\n*(?:None|(?:New|Deleted|Updated) items:))+\n*"
"""The sections of an answer that hold nothing, from one item to the next."""

BETWEEN = rf"""(?:['"]{FLAGS}*|{FLAGS}+|\])?\n+\t*\[n?"""
"""From the name of one element to the id of the next."""


class WebDataModule(TransitionDataModule):
    """Transitions of web pages.

    A batch holds lists of length B: ``key``, and ``transition``, each a ``WebTransition``.

    Args:
        root: Folder with the shards and their ``manifest.json``.
        reword: Exchange words that differ from page to page of a task each time a step is trained
            on, such as those of names and of filler text, so that a model learns to read them.
        renumber: Give elements other ids each time, in the same order.
        **options: See ``TransitionDataModule``.
    """

    made_by = "rlvr-world data web (or webarena) --root {root}"
    kind: ClassVar[type[TextTransition]] = WebTransition
    in_modes = False
    word_pattern = (
        rf"""{SECTIONS}(?:\[n?)?|\n?[<>] [a-z]+ \[|\] \w+ ['"]|{BETWEEN}|['"]?{FLAGS}+"""
        r"| ?\d{1,3}| ?[^\W\d_]+| ?[^\w\s]+|_|\s+"
    )

    def __init__(
        self,
        root: str = "data/web",
        reword: bool = False,
        renumber: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(root=root, **options)
        self.reword, self.renumber = reword, renumber

    def texts(self, batch: Batch, style: Style, form: Form) -> Iterator[str]:
        for step in batch["transition"]:
            yield from (page_prompt(step, style), page_answer(step, style))

    def retelling(self) -> Retelling | None:
        words = content_words(self.steps("train")) if self.reword else ()
        return partial(retold, words=words, renumber=self.renumber)
