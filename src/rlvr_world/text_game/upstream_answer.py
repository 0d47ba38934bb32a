"""Reading a model's answer as the original does: whatever can be repaired into JSON.

The words True, False and None are replaced first, even within names. The time that a repair takes
grows with the square of the length of texts such as ``{"{"{"``, where the original would hang; here
it is bounded by the number of times that the text is read.
"""

import json
from collections.abc import Callable
from functools import cache
from typing import Any, Self, SupportsIndex

from rlvr_world.extras import require
from rlvr_world.text_game.answer import PHRASES

LITERALS = {"True": "true", "False": "false", "None": "null"}
SHALLOW = 100
"""JSON with fewer brackets is read by the standard library, faster and with the same result."""

READS = 500_000
"""How often the repair may read a text; damaged answers take up to 8 reads per character."""


class OverBudget(Exception):
    """The repair of an answer was stopped."""


class CountedText(str):
    """A text that raises ``OverBudget`` when it, or what was cut from it, is read too often."""

    left: list[int]

    def __new__(cls, text: str, left: list[int]) -> Self:
        counted = super().__new__(cls, text)
        counted.left = left
        return counted

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        self.left[0] -= 1
        if self.left[0] < 0:
            raise OverBudget
        part = super().__getitem__(key)
        return CountedText(part, self.left) if isinstance(key, slice) else part

    def __add__(self, other: str) -> str:
        return CountedText(super().__add__(other), self.left)


def lenient_answer(text: str) -> str:
    """What follows the last of the first phrase that occurs, else the last long ```json fence.

    A fence with less than 10 characters inside does not count, and the whole text is the answer.
    """
    for phrase in PHRASES:
        if phrase in text:
            return text.rpartition(phrase)[2].strip()
    fenced, start = "", text.find("```json")
    while start >= 0 and (end := text.find("```", start + 7)) >= 0:
        fenced = text[start + 7 : end].strip()
        start = text.find("```json", end + 3)
    return fenced if len(fenced) >= 10 else text


def read_leniently(answer: str) -> Any:
    """The value of an answer; raises whatever the repair or its reader raise, or ``OverBudget``."""
    repair, read = repair_tools()
    for word, literal in LITERALS.items():
        answer = answer.replace(word, literal)
    if answer.count("{") + answer.count("[") < SHALLOW:
        try:
            return json.loads(answer)
        except ValueError:
            pass
    return read(repair(CountedText(answer, [READS])))


@cache
def repair_tools() -> tuple[Callable[[str], str], Callable[[str], Any]]:
    """The functions that repair JSON and that read it afterwards."""
    repair, read = (
        require(name, "upstream", "The upstream judge") for name in ("json_repair", "dirtyjson")
    )
    return repair.repair_json, read.loads
