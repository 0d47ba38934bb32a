"""Reading answers, strictly; 2,000 examples of what a model may write."""

import json
import time
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from text_states import NOTHING, TABLE

from rlvr_world.language.judge import BadAnswer, Reason
from rlvr_world.language.transition import Form
from rlvr_world.text_game.answer import PHRASES, final_answer, read_answer
from rlvr_world.text_game.judge import strict_judgement

RIGHT = json.dumps(TABLE.difference)
SIZE = 20_000


def reason(text: str, form: Form = "difference") -> Reason:
    try:
        read_answer(text, form)
    except BadAnswer as answer:
        return answer.reason
    return "right"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('  {"a": 1}\n', '{"a": 1}'),
        ("I think. The final answer is: {1}", "{1}"),
        ("The final answer is: {1} No, wait. the final state is: {2}", "{2}"),
        ("the final game state is: {1} The final answer is:\n{2}\n", "{2}"),
        ("The final answer is: ```json\n{1}\n``` as I said", "{1}"),
        ("The final answer is:\n```\n{1}\n```", "{1}"),
        ("```json {1}``` The final answer is: {2}", "{2}"),
        ("first ```json {1}``` then ```json\n{2}\n``` end", "{2}"),
        ("first ```json {1}``` then ```json\n{2}", "{1}"),
        ('{"a": "```json {1}```"}', '{"a": "```json {1}```"}'),
        ("The final answer is: it stays", "it stays"),
        ("The final answer is: ```json {1}", "```json {1}"),
    ],
)
def test_the_answer_follows_the_last_phrase_or_stands_in_the_last_fence(text, answer):
    assert final_answer(text) == answer


def test_the_papers_six_phrases_count():
    assert len(PHRASES) == 6
    for phrase in PHRASES:
        assert final_answer(f"{{1}} {phrase} {{2}}") == "{2}"


@pytest.mark.parametrize("text", ["", " \n", "I do not know", "[1]", "The final answer is: ", "``"])
def test_a_text_may_hold_no_answer(text):
    assert reason(text) == "no answer"


@pytest.mark.parametrize(
    "text",
    [
        RIGHT[:-1], RIGHT + "}", RIGHT + " so be it", "The final answer is: nothing", "{'a': 1}",
        '{"modified": [], "removed": [], "score": {}, }', '{"score": NaN}', '{"score": -Infinity}',
        '{"score": None}', '{"score": True}', '{"modified": [], "modified": [], "removed": []}',
        '{"a": {"b": 1, "b": 1}}', "{" * 10_000, '{"a": ' * 10_000, '{"a":' + "[" * 10_000,
        '{"a":' + "[" * 10_000 + "]" * 10_000 + "}", '{"a": ' + "9" * 10_000 + "}", '{"a": "\n"}',
        f"```json {RIGHT}", "{\ud800",
    ],
)  # fmt: skip
def test_what_is_not_json_is_not_repaired(text):
    assert reason(text) == "not JSON"


def test_a_bad_answer_says_in_one_sentence_what_is_wrong():
    with pytest.raises(BadAnswer, match=r"^modified\[0\].uuid must be of type int, got str$"):
        read_answer(shape(modified=[TABLE.state["objects"][0] | {"uuid": "1"}]), "difference")
    with pytest.raises(BadAnswer, match=r"^the answer is not JSON: a key stands twice in an obj"):
        read_answer('{"a": 1, "a": 1}', "difference")


def shape(**changes) -> str:
    return json.dumps({k: v for k, v in (NOTHING | changes).items() if v is not ...})


@pytest.mark.parametrize(
    "text",
    [
        "{}", shape(removed=...), shape(modified=...), shape(note="I did it"), shape(score=1),
        shape(score={"score": 1}), shape(score=[]), shape(score=TABLE.target["score"] | {"at": 1}),
        shape(score={"score": True, "gameOver": False, "gameWon": False}), shape(removed=3),
        shape(score={"score": 1, "gameOver": 0, "gameWon": False}), shape(removed={"3": 1}),
        shape(removed=["3"]), shape(removed=[3.0]), shape(removed=[True]), shape(removed=[3, 3]),
        shape(modified={}), shape(modified=[1]), shape(modified=None), shape(modified=[[]]),
        shape(modified=TABLE.difference["modified"], removed=[4]),
        shape(modified=TABLE.difference["modified"] * 2),
        shape(modified=[{"uuid": 1}]),
        shape(modified=[TABLE.state["objects"][0] | {"color": "red"}]),
        shape(modified=[TABLE.state["objects"][0] | {"uuid": "1"}]),
        shape(modified=[TABLE.state["objects"][0] | {"uuid": 1.0}]),
        shape(modified=[TABLE.state["objects"][0] | {"name": None}]),
        shape(modified=[TABLE.state["objects"][0] | {"properties": []}]),
        shape(modified=[TABLE.state["objects"][0] | {"contains": "cup"}]),
        shape(modified=[TABLE.state["objects"][0] | {"contains": [2]}]),
        json.dumps(TABLE.target),
    ],
)  # fmt: skip
def test_json_may_have_a_wrong_shape(text):
    assert reason(text) == "wrong shape"


def test_a_state_has_a_shape_of_its_own():
    assert reason(json.dumps(TABLE.target), "state") == "right"
    for target in (
        TABLE.target | {"score": {}},
        TABLE.target | {"more": 1},
        TABLE.target | {"objects": TABLE.target["objects"] * 2},
        TABLE.difference,
    ):
        assert reason(json.dumps(target), "state") == "wrong shape"


def test_a_score_that_is_not_said_is_none():
    assert read_answer(shape(score=...), "difference")["score"] is None
    assert read_answer(shape(score=None), "difference")["score"] is None
    assert read_answer('{"objects": []}', "state") == {"objects": [], "score": None}
    assert read_answer(shape(), "difference") == NOTHING


def seconds(text: str, form: Form) -> float:
    """Processor time of judging; the best of three, since one may hold a garbage collection."""
    times = []
    while len(times) < 3 and min(times, default=1) >= 0.1:
        start = time.thread_time()
        strict_judgement(text, TABLE, form)
        times.append(time.thread_time() - start)
    return min(times)


def check(text: str) -> None:
    """Any text is judged, in time."""
    for form in get_args(Form):
        judgement = strict_judgement(text, TABLE, form)
        assert judgement.reason in get_args(Reason)
        assert 0 <= judgement.task_specific <= 1.3
        assert (judgement.reason == "right") == (judgement.task_specific > 1.2)
        assert seconds(text, form) < 0.1


@settings(max_examples=500, deadline=None)
@given(st.text())
def test_arbitrary_text(text):
    check(text)
    check("The final answer is:" + text)


PIECES = st.sampled_from(
    [*'{}[]",:\\ \n', "```json", "```", "NaN", "null", "true", "1e999", "-", "0", '"modified"',
     '"removed"', '"score"', '"objects"', '"uuid"', '"properties"', "\ud800", *PHRASES]
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, max_size=60).map("".join))
def test_pieces_of_answers(text):
    check(text)


@settings(max_examples=600, deadline=None)
@given(
    st.integers(0, len(RIGHT)), st.integers(0, 40), st.text(max_size=3) | PIECES,
    st.sampled_from([RIGHT, json.dumps(TABLE.target)]), st.sampled_from(["", *PHRASES]),
)  # fmt: skip
def test_damaged_answers(start, length, insertion, right, phrase):
    check(phrase + right[:start] + insertion + right[start + length :])


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_json_of_any_shape(data):
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    keys = st.sampled_from(["modified", "removed", "score", "objects", "uuid", "properties"])
    items = st.sampled_from([*TABLE.target["objects"], TABLE.target["score"], {}, []])
    inner = leaves | items | st.lists(leaves | items, max_size=3)
    check(json.dumps(data.draw(st.dictionaries(keys, inner, max_size=6))))


def colliding(count: int) -> str:
    """Uuids with one hash, since Python takes integers modulo 2**61 - 1."""
    return ",".join(str(k * (2**61 - 1)) for k in range(count))


HEAVY = {
    "nesting": '{"a":' * (SIZE // 5),
    "closed nesting": '{"modified":' + "[" * (SIZE // 2) + "]" * (SIZE // 2) + "}",
    "nesting within the recursion limit": '{"modified":' + "[" * 700 + "]" * 700 + "}",
    "one number": '{"a":' + "7" * SIZE + "}",
    "long floats": '{"a":[' + ("0." + "1" * 4_000 + "e-300,") * 4 + "0]}",
    "many long numbers": '{"a":[' + ("7" * 4_000 + ",") * 4 + "0]}",
    "removed": '{"modified":[],"score":{},"removed":[' + ",".join(map(str, range(4_000))) + "]}",
    "colliding": '{"modified":[],"score":{},"removed":[' + colliding(900) + "]}",
    "phrases": "The final answer is: " * (SIZE // 21),
    "fences": "```json " * (SIZE // 8),
    "quotes": '{"' * (SIZE // 2),
    "escapes": '{"' + "\\" * SIZE,
    "one key": "{" + '"a":1,' * (SIZE // 6) + '"a":1}',
    "spaces": "{" + " " * SIZE,
    "lines": "{" + "\n" * SIZE + "x",
    "objects": json.dumps(
        {"modified": [TABLE.state["objects"][0] | {"uuid": k} for k in range(140)]}
        | {"removed": [], "score": {}}
    ),
    "prose": "{the quick brown fox " * (SIZE // 21),
}


@pytest.mark.parametrize("text", HEAVY.values(), ids=HEAVY)
def test_judging_20_kb_takes_less_than_100_ms(text):
    assert len(text) < 1.2 * SIZE
    assert strict_judgement(text, TABLE, "difference").reason != "right"
    assert seconds(text, "difference") < 0.1
