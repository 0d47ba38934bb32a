"""A model's answer about the next state of a text game: where it is in the text, and what it says.

The strict form is JSON as RFC 8259 has it, with no key twice in one object and no NaN or Infinity.
Python's True, False and None are not JSON: our prompts show JSON, and replacing them would change
names that hold such a word. Nothing is repaired.
"""

import json
from typing import Any

from rlvr_world.language.judge import BadAnswer
from rlvr_world.language.transition import Form
from rlvr_world.text_game.game_state import objects_problem, score_problem

PHRASES = tuple(
    f"{article} final {noun} is:"
    for noun in ("answer", "state", "game state")
    for article in ("The", "the")
)
"""The phrases that announce the answer, in the order in which the original looks for them."""


def final_answer(text: str) -> str:
    """The part of a text that is the answer; ``BadAnswer`` without any phrase, ``` and ``{``.

    It is what follows the last of ``PHRASES``, or the whole text without one. If that does not
    begin with ``{``, it is the inside of its last complete ``` or ```json fence, if there is one.
    """
    ends = [at + len(phrase) for phrase in PHRASES if (at := text.rfind(phrase)) >= 0]
    answer = text[max(ends, default=0) :].strip()
    if answer.startswith("{"):
        return answer
    pieces = answer.split("```")
    if len(pieces) > 2:
        return pieces[(len(pieces) - 1) // 2 * 2 - 1].removeprefix("json").strip()
    if not answer or not (ends or len(pieces) > 1):
        raise BadAnswer("no answer", "the text holds no answer")
    return answer


def read_answer(text: str, form: Form) -> Any:
    """Read the answer in a text, strictly: a ``Difference``, or a ``GameState`` in that form.

    Where the text says no score, ``score`` is None: its key is missing or null. In a difference
    ``{}`` says that the score stays the same. Raises ``BadAnswer``.
    """
    answer = final_answer(text)
    try:
        value = _DECODER.decode(answer)
    except (ValueError, RecursionError) as error:
        raise BadAnswer("not JSON", f"the answer is not JSON: {error}") from None
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
