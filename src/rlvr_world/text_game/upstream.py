"""The rule of the original (RLVR-World, Wu et al., 2025), so that numbers can be compared.

It is lenient where it should not be and strict where it need not be: broken JSON is repaired, and
True, False and None are replaced even within names; new objects are dropped, so that no answer is
right where an object is added; objects that are kept instead of removed, names, types and extra
properties do not count, but an extra property loses the whole task-specific reward; anything that
raises an exception scores 0. The time that a repair takes grows with the square of the length of
texts such as ``{"{"{"``, where the original would hang; here it is bounded by the number of times
that the text is read. The comparisons below keep to the original's operators, since what
they accept is part of its behaviour: 1 is true, a dictionary of names may stand for a list.

Versions of json_repair repair differently: 0.64.6 and 0.40.0 do so for a tenth of damaged answers.
The extra ``upstream`` holds the version that our numbers mean, 0.64.6.

The original knows neither answers that say the whole state or the score alone nor modes without a
score. For those, the same comparison is made with the objects said, or those of the state, and the
share of right scores is 1 where there is none.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import suppress
from functools import cache
from typing import Any, Self, SupportsIndex

from rlvr_world.extras import require
from rlvr_world.language.transition import Form
from rlvr_world.text_game.answer import PHRASES
from rlvr_world.text_game.facts import Judgement, equation_4
from rlvr_world.text_game.game_state import GameState
from rlvr_world.text_game.transition import Transition, kept

LITERALS = {"True": "true", "False": "false", "None": "null"}
SHALLOW = 100
"""JSON with fewer brackets is read by the standard library, faster and with the same result."""

READS = 500_000
"""How often the repair may read a text; damaged answers take up to 8 reads per character."""

Objects = dict[Any, Any]
"""Objects by uuid; those of an answer may be anything in which "uuid" was found."""

BAD_DATA = (LookupError, TypeError, ValueError, AttributeError, RecursionError)
"""What an answer of an odd shape raises here, where the original takes any exception as wrong."""


class OverBudget(Exception):
    """The repair of an answer was stopped."""


class CountedText(str):
    """A text that raises ``OverBudget`` when it, or a beginning or end of it, is read too often.

    Pieces from its middle are plain, since the repair compares the types of the values it finds.
    """

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
        is_rest = isinstance(key, slice) and None in (key.start, key.stop)
        return CountedText(part, self.left) if is_rest else part

    def __add__(self, other: str) -> str:
        return CountedText(super().__add__(other), self.left)

    def __radd__(self, other: str) -> str:
        return CountedText(str.__add__(other, self), self.left)


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


def upstream_judgement(text: str, transition: Transition, form: Form) -> Judgement:
    """Judge the answer in a text."""
    repair_tools()
    answer = lenient_answer(text)
    if not answer.strip():
        return Judgement("no answer")
    try:
        said = read_leniently(answer)
    except OverBudget:
        return Judgement("over the limit")
    except Exception:
        return Judgement("not JSON")
    try:
        return _judgement(said, transition, form)
    except BAD_DATA:
        return Judgement("wrong shape")


def _judgement(said: Any, transition: Transition, form: Form) -> Judgement:
    """Compare what an answer says with the truth; raises where the original does."""
    rest = kept(transition, form)
    said = {**rest, **said} if rest and isinstance(said, dict) else said
    keys = ("modified", "removed") if form == "difference" else ("objects",)
    if not all(key in said for key in keys):
        return Judgement("wrong shape")
    if form == "difference":
        objects, score = _index(_next_entries(said, transition.state))
    else:
        objects, score = _index([*said["objects"], said.get("score", {})])
    truth, _ = _index(transition.target["objects"])
    compared = list(_compared(truth, objects))
    share = sum(compared) / len(compared)
    scores = (transition.target["score"] or {}).items()
    right_scores = sum(key in score and score[key] == value for key, value in scores)
    score_share = right_scores / len(scores) if scores else 1.0
    right = share == 1 and score_share == 1
    try:
        changed = _changed_share(transition, truth, objects)
        reward = equation_4(share, score_share, right, changed)
    except KeyError:
        reward = 0.0
    return Judgement("right" if right else "wrong state", share, reward)


def _next_entries(said: Any, state: GameState) -> Iterator[Any]:
    """The objects and the score that a difference leads to; objects that it adds are dropped."""
    said = said if isinstance(said, dict) else {"modified": (), "removed": ()}
    modified = _by_uuid(said["modified"])
    for item in state["objects"]:
        if not _holds(said["removed"], item["uuid"]):
            yield modified.get(item["uuid"], item)
    if state["score"] is not None and "score" in said:
        score = said["score"]
        yield score if isinstance(score, Sized) and len(score) else state["score"]


def _by_uuid(items: Any) -> Objects:
    found = {}
    for item in items if isinstance(items, Iterable) else ():
        with suppress(TypeError, KeyError):
            found[item["uuid"]] = item
    return found


def _holds(removed: Any, uuid: int) -> bool:
    """Whether a uuid is among the removed ones, which only a container can say."""
    try:
        return uuid in removed
    except TypeError:
        return False


def _index(entries: Iterable[Any]) -> tuple[Objects, Any]:
    """Objects by uuid and the score, told apart by their keys."""
    objects, score = {}, {}
    for entry in entries:
        if "uuid" in entry:
            objects[entry["uuid"]] = entry
        elif "score" in entry:
            score = entry
    return objects, score


def _compared(truth: Objects, objects: Objects) -> Iterator[bool]:
    """Whether each property and ``contains`` of the truth is right; a missing object is wrong."""
    for uuid, item in truth.items():
        if uuid not in objects:
            yield False
            continue
        other = objects[uuid]
        if "properties" not in other:
            yield False
        else:
            said = other["properties"]
            for key, value in item["properties"].items():
                yield key in said and said[key] == value
        yield "contains" in other and sorted(other["contains"]) == sorted(item["contains"])


def _differences(first: Objects, second: Objects) -> Iterator[tuple[Any, Any, bool]]:
    """For objects in both: uuid, key and whether it differs, of all properties and ``contains``."""
    for uuid in first.keys() & second.keys():
        one, two = first[uuid]["properties"], second[uuid]["properties"]
        for key in one:
            yield uuid, key, not (key in two and one[key] == two[key])
        for key in two:
            if key not in one:
                yield uuid, key, True
        contents = (sorted(side[uuid].get("contains", [])) for side in (first, second))
        yield uuid, "contains", next(contents) != next(contents)


def _changed_share(transition: Transition, truth: Objects, objects: Objects) -> float | None:
    """The share of right properties among those that change, or None if none was compared.

    Raises ``KeyError`` if the answer has a property that neither state has.
    """
    changes = transition.once("upstream", lambda: _changes(transition, truth))
    try:
        said = list(_differences(truth, objects))
    except BAD_DATA:
        return None
    right = [not differs for uuid, key, differs in said if changes[uuid][key]]
    return sum(right) / len(right) if right else None


def _changes(transition: Transition, truth: Objects) -> dict[Any, dict[str, bool]]:
    """For each object of the truth whether a key changes; of a new one only ``contains`` does."""
    before, _ = _index(transition.state["objects"])
    changes = {
        uuid: {"contains": True} | dict.fromkeys(item["properties"], False)
        for uuid, item in truth.items()
    }
    for uuid, key, differs in _differences(before, truth):
        changes[uuid][key] = differs
    return changes
