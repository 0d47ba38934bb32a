"""A model's answer about the next state of a text game: where it is in the text, and what it says.

The strict form is JSON as RFC 8259 has it, with no key twice in one object and no NaN or Infinity.
Python's True, False and None are not JSON: our prompts show JSON, and replacing them would change
names that hold such a word. Nothing is repaired.

What models write around the JSON is left out where it is unambiguous: reasoning up to ``</think>``,
Markdown, a box of LaTeX, and words behind an answer that was announced. Only one answer of a text
counts, the last one: more JSON behind it makes it unreadable.
"""

import json
import re
from collections import deque
from collections.abc import Mapping
from typing import Any

from rlvr_world.language.judge import BadAnswer
from rlvr_world.language.reasoning import check_finished, split_reasoning
from rlvr_world.language.transition import Form
from rlvr_world.text_game.game_state import objects_problem, score_problem

PHRASES = tuple(
    f"{article} final {noun} is:"
    for noun in ("answer", "state", "game state")
    for article in ("The", "the")
)
"""The phrases that announce the answer, in the order in which the original looks for them."""

BOX = "\\boxed{"
_ANNOUNCED = re.compile(
    r"final (?:answer|state|game state)(?: is)?[*_`\s]*+:|</think>|" + re.escape(BOX), re.IGNORECASE
)
_MARKUP = re.compile(r"(?:\s|\*\*|__|`{1,2}(?!`)|\$|\\[\[(])*+")
_BEHIND = re.compile(r"(?:[\s*_`$.\\][^{}]*+)?")
_LEADING_IN = re.compile(r"(?:\bthe\s*|[*_`#$\s])*\Z", re.IGNORECASE)
_MORE_JSON = re.compile(r'\{\s*+["}]')


def final_answer(text: str) -> str:
    """The part of a text that is the answer; ``BadAnswer`` if there is none, or more behind it.

    It is what follows the last phrase such as ``PHRASES`` or ``Final answer:``, the last
    ``</think>`` or the last LaTeX box, or the whole text without one. If that does not begin with
    ``{``, it is the inside of its last complete ``` or ```json fence, if there is one.
    """
    announced = next(iter(deque(_ANNOUNCED.finditer(text), maxlen=1)), None)
    if announced:
        check_finished(text[: announced.end()])
    answer = text[announced.end() :] if announced else text
    answer = answer[_MARKUP.match(answer).end() :].strip()  # type: ignore[union-attr]
    if answer.startswith("{"):
        return _bare(answer, boxed=announced[0] == BOX) if announced else answer
    pieces = answer.split("```")
    if len(pieces) > 2:
        last = (len(pieces) - 1) // 2 * 2 - 1
        check_finished("```".join(pieces[:last]))
        if _MORE_JSON.search("```".join(pieces[last + 1 :])):
            raise BadAnswer("no answer", "more JSON follows the last fence")
        return re.sub(r"\Ajson", "", pieces[last], flags=re.IGNORECASE).strip()
    if not answer or not (announced or len(pieces) > 1):
        raise BadAnswer("no answer", "the text holds no answer")
    return answer


def reasoning_before(text: str) -> str:
    """What a text says before it announces its last answer; nothing without a word of that."""
    reasoning, answer = split_reasoning(text)
    announced = next(iter(deque(_ANNOUNCED.finditer(answer), maxlen=1)), None)
    start = announced.start() if announced else answer.find("```")
    if start < 0:
        return reasoning
    before = _LEADING_IN.sub("", answer[:start])
    return "\n".join(filter(None, (reasoning, before.strip())))


def _bare(answer: str, boxed: bool) -> str:
    """The JSON object that an announced answer begins with; all of it if that is broken."""
    try:
        _, end = _DECODER.raw_decode(answer)
    except (ValueError, RecursionError):
        return answer
    behind = answer[end:].lstrip() if boxed else answer[end:]
    if (boxed and not behind.startswith("}")) or not _BEHIND.fullmatch(behind[boxed:]):
        raise BadAnswer("not JSON", "the answer goes on behind its JSON, or its box is open")
    return answer[:end]


def read_answer(text: str, form: Form, kept: Mapping[str, Any] | None = None) -> Any:
    """Read the answer in a text, strictly: a ``Difference``, or a ``GameState`` in that form.

    Where the text says no score, ``score`` is None: its key is missing or null. In a difference
    ``{}`` says that the score stays the same. ``kept`` is the rest of an answer that may say the
    score alone. Raises ``BadAnswer``.
    """
    answer = final_answer(text)
    try:
        value = _DECODER.decode(answer)
    except (ValueError, RecursionError) as error:
        raise BadAnswer("not JSON", f"the answer is not JSON: {error}") from None
    if kept and type(value) is dict and value.keys() == {"score"}:
        value = {**kept, **value}
    problem = _shape_problem(value, form)
    if problem is not None:
        raise BadAnswer("wrong shape", problem)
    return value if "score" in value else value | {"score": None}


def _shape_problem(value: Any, form: Form) -> str | None:
    keys = {"modified", "removed"} if form == "difference" else {"objects"}
    if type(value) is not dict or value.keys() - {"score"} != keys:
        return f"the answer must hold exactly the keys {', '.join(sorted(keys))} and score"
    score = value.get("score")
    if score is not None and not (score == {} and form == "difference"):
        problem = score_problem(score)
        if problem is not None:
            return problem
    if form == "state":
        return objects_problem(value["objects"])
    return objects_problem(value["modified"], "modified") or _removed_problem(value)


def _removed_problem(value: dict[str, Any]) -> str | None:
    removed = value["removed"]
    if type(removed) is not list or not all(type(uuid) is int for uuid in removed):
        return "removed must be a list of uuids"
    uuids = {*removed, *(item["uuid"] for item in value["modified"])}
    if len(uuids) < len(removed) + len(value["modified"]):
        return "removed must name an object once and none that modified holds"
    return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key stands twice in an object")
    return value


def _constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
