"""The original's rule: hand-worked cases for each of its properties, and its measured habits."""

import dataclasses
import json
import sys
import time

import pytest
from bytesized32 import needs_file, transitions
from hypothesis import given, settings
from hypothesis import strategies as st
from text_states import LAMP, NOTHING, TABLE, canonical, edited, thing, values

from rlvr_world.text_game.judge import TextGameJudge
from rlvr_world.text_game.transition import Transition
from rlvr_world.text_game.upstream import (
    lenient_answer,
    read_leniently,
    repair_tools,
    upstream_judgement,
)

pytest.importorskip("json_repair", reason="needs the extra upstream")
pytest.importorskip("dirtyjson", reason="needs the extra upstream")


def check(transition, text, objects, score, changed, form="difference"):
    """The judgement against shares of right objects, score and changes, worked out by hand."""
    judgement = upstream_judgement(text, transition, form)
    right = objects == 1 and score == 1
    expected = 0.09 * objects + 0.01 * score + 0.2 * right + (changed or 0)
    assert (judgement.reason == "right") == right
    assert judgement.share == pytest.approx(objects)
    assert judgement.task_specific == pytest.approx(expected)


def lamp(**changes):
    return lambda answer: answer["modified"][0].update(changes)


def lamp_property(**changes):
    return lambda answer: answer["modified"][0]["properties"].update(changes)


def without(name):
    return lambda answer: answer["modified"][0]["properties"].pop(name)


def put(**changes):
    return lambda answer: answer.update(changes)


def only_lamp(**changes):
    return lambda answer: answer.update({"modified": answer["modified"][:1], **changes})


LAMP_ON, BULB_HOT = LAMP.difference["modified"]
CASES = {
    "right": (lambda answer: None, 1, 1, 1),
    "nothing": (put(**NOTHING), 5 / 7, 2 / 3, 0),
    "half": (only_lamp(score={}), 6 / 7, 2 / 3, 1 / 2),
    "no score": (lambda answer: answer.pop("score"), 1, 0, 1),
    "empty score keeps it": (put(score={}), 1, 2 / 3, 1),
    "empty list as score keeps it": (put(score=[]), 1, 2 / 3, 1),
    "null as score keeps it": (put(score=None), 1, 2 / 3, 1),
    "a number as score keeps it": (put(score=1), 1, 2 / 3, 1),
    "a word as score is none": (put(score="won"), 1, 0, 1),
    "a list as score is none": (put(score=[1]), 1, 0, 1),
    "a score without score is none": (put(score={"gameOver": False, "gameWon": False}), 1, 0, 1),
    "a part of the score": (put(score={"score": 1}), 1, 1 / 3, 1),
    "1 is true": (put(score={"score": True, "gameOver": 0, "gameWon": 0.0}), 1, 1, 1),
    "more in the score": (put(score={**LAMP.target["score"], "bonus": 3}), 1, 1, 1),
    "an object as score": (only_lamp(score=BULB_HOT), 1, 0, 1),
    "an invented object": (put(modified=[LAMP_ON, BULB_HOT, thing(3, "ghost", {})]), 1, 1, 1),
    "an object lost": (only_lamp(removed=[2]), 4 / 5, 1, 1),
    "removed wins over modified": (put(removed=[2]), 4 / 5, 1, 1),
    "removal of nobody": (put(removed=[7, "2", None, [2]]), 1, 1, 1),
    "a scalar removes nothing": (put(removed=2), 1, 1, 1),
    "a word removes nothing": (put(removed="2"), 1, 1, 1),
    "null removes nothing": (put(removed=None), 1, 1, 1),
    "keys remove nothing": (put(removed={"2": 1}), 1, 1, 1),
    "uuid removed by a float": (only_lamp(removed=[2.0]), 4 / 5, 1, 1),
    "another name and type": (lamp(name="x", type="y"), 1, 1, 1),
    "no name": (lambda answer: answer["modified"][0].pop("name"), 1, 1, 1),
    "uuid 1.0": (lamp(uuid=1.0), 1, 1, 1),
    "uuid true": (lamp(uuid=True), 1, 1, 1),
    "uuid in quotes": (lamp(uuid="1"), 6 / 7, 1, 1 / 2),
    "uuid that is a list": (lamp(uuid=[1]), 6 / 7, 1, 1 / 2),
    "no uuid": (lambda answer: answer["modified"][0].pop("uuid"), 6 / 7, 1, 1 / 2),
    "the last of two": (put(modified=[BULB_HOT | {"properties": {}}, LAMP_ON, BULB_HOT]), 1, 1, 1),
    "rubbish among objects": (put(modified=[5, None, "uuid", [], LAMP_ON, BULB_HOT]), 1, 1, 1),
    "modified that is a number": (put(modified=5), 5 / 7, 1, 0),
    "modified that is an object": (put(modified=LAMP_ON), 5 / 7, 1, 0),
    "no properties": (put(modified=[LAMP_ON, {"uuid": 2, "contains": []}]), 5 / 6, 1, None),
    "properties are a list": (lamp(properties=[]), 4 / 7, 1, 1 / 2),
    "no contains": (put(modified=[LAMP_ON, {"uuid": 2, "properties": BULB_HOT["properties"]}]),
                    6 / 7, 1, 1),
    "contains as keys": (lamp(contains={"bulb (ID: 2)": 0}), 1, 1, 1),
    "contains as a word": (lamp(contains="bulb (ID: 2)"), 6 / 7, 1, 1),
    "something else in it": (lamp(contains=["cup (ID: 2)"]), 6 / 7, 1, 1),
    "a property less": (without("level"), 6 / 7, 1, 1),
    "a changed property less": (without("isOn"), 6 / 7, 1, 1 / 2),
    "1 for true": (lamp_property(isOn=1, level=True), 1, 1, 1),
    "a list in another order": (lamp_property(tags=["b", "a"]), 6 / 7, 1, 1),
    "a list as a word": (lamp_property(tags="ab"), 6 / 7, 1, 1),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "objects", "score", "changed"), CASES.values(), ids=CASES)
def test_hand_worked_answers(edit, objects, score, changed):
    check(LAMP, edited(LAMP.difference, edit), objects, score, changed)


ZERO = {
    "no modified": ("wrong shape", lambda answer: answer.pop("modified")),
    "no removed": ("wrong shape", lambda answer: answer.pop("removed")),
    "a score with the word score": ("wrong shape", put(score="score 1")),
    "a list with the word score": ("wrong shape", put(score=["score"])),
    "a score with the word uuid": ("wrong shape", put(score="uuid")),
    "a score with a list as uuid": ("wrong shape", put(score={"uuid": []})),
    "properties are null": ("wrong shape", lamp(properties=None)),
    "properties are names": ("wrong shape", lamp(properties=["isOn", "level", "tags"])),
    "properties are a word": ("wrong shape", lamp(properties="isOn")),
    "contains null": ("wrong shape", lamp(contains=None)),
    "contains a number": ("wrong shape", lamp(contains=["bulb (ID: 2)", 1])),
}


@pytest.mark.parametrize(("reason", "edit"), ZERO.values(), ids=ZERO)
def test_what_raises_in_the_original_scores_0(reason, edit):
    text = edited(LAMP.difference, edit)
    assert upstream_judgement(text, LAMP, "difference") == (reason, 0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no answer"), ("The final answer is:  ", "no answer"), ("dunno", "not JSON"),
        ("[" * 10_000, "not JSON"), ("5", "wrong shape"), ("[]", "wrong shape"),
        ("null", "wrong shape"), ('{"modified": []}', "wrong shape"),
    ],
)  # fmt: skip
def test_texts_that_say_nothing(text, reason):
    assert upstream_judgement(text, LAMP, "difference") == (reason, 0.0, 0.0)


def test_the_two_words_are_looked_for_in_anything():
    check(LAMP, '"modified, removed"', 5 / 7, 0, 0)
    check(LAMP, '["modified", "removed"]', 5 / 7, 0, 0)


def test_an_extra_property_costs_the_task_specific_reward_only():
    text = edited(LAMP.difference, lamp_property(extra=0))
    assert upstream_judgement(text, LAMP, "difference") == ("right", 1.0, 0.0)


def test_added_objects_never_come_and_removed_ones_may_stay():
    """Of the truth the table has 3 facts, the cup 2; the core that is missing is one error."""
    for removed in ([3], []):
        check(TABLE, json.dumps(TABLE.difference | {"removed": removed}), 5 / 6, 1, 1)
    table = TABLE.difference["modified"][0]
    check(TABLE, json.dumps(NOTHING | {"modified": [table]}), 5 / 6, 2 / 3, 1)
    core = TABLE.difference["modified"][1]
    check(TABLE, json.dumps(TABLE.difference | {"score": core}), 1, 0, 1)
    core = core | {"contains": ["pip"]}
    check(TABLE, json.dumps(TABLE.difference | {"score": core}), 6 / 7, 0, 2 / 3)


def test_a_property_that_goes_counts_only_when_it_stays():
    after = [LAMP.state["objects"][0], thing(2, "bulb", {"isHot": False})]
    target = LAMP.state | {"objects": after}
    transition = dataclasses.replace(LAMP, target=target)
    check(transition, json.dumps(NOTHING | {"modified": after}), 1, 1, None)
    check(transition, json.dumps(NOTHING), 1, 1, 0)


def test_python_and_broken_json_are_read():
    right = json.dumps(LAMP.difference)
    damaged = [
        repr(LAMP.difference), right[:-1], right[:-2] + ", }}", right + " That is all.",
        f"```json\n{right}\n```", f"The final answer is: ```json\n{right}```",
        right.replace('"modified"', "modified"), f"**the final state is:** {right}",
    ]  # fmt: skip
    for text in damaged:
        check(LAMP, text, 1, 1, 1)


def test_of_a_draft_and_an_answer_of_the_same_shape_the_last_one_is_paid():
    right, draft = (json.dumps(each) for each in (LAMP.difference, LAMP.difference | {"score": {}}))
    other = right.replace('"isHot": true', '"isHot": false')
    check(LAMP, f"{other} no, {right}", 1, 1, 1)
    check(LAMP, f"{right} no, {other}", 6 / 7, 1, 1 / 2)
    assert upstream_judgement(f"{draft} no, {right}", LAMP, "difference").reason == "wrong shape"


def test_literals_are_replaced_within_words():
    named = [
        item | {"properties": item["properties"] | {"level": "True North"}} if side else item
        for side, item in enumerate(LAMP.target["objects"])
    ]
    transition = dataclasses.replace(LAMP, target=LAMP.target | {"objects": named})
    assert transition.difference["modified"][1]["properties"]["level"] == "True North"
    check(transition, json.dumps(transition.difference), 7 / 8, 1, 2 / 3)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("the final state is: a The final answer is: b The final answer is: c ", "c"),
        ("The final answer is: a the final state is: b", "a the final state is: b"),
        ("the final game state is: a The final game state is: b", "b"),
        ("x ```json 0123456789``` y", "0123456789"),
        ("x ```json 012345678``` y", "x ```json 012345678``` y"),
        ("```json 0123456789``` ```json 1```", "```json 0123456789``` ```json 1```"),
        ("```json 0123456789``` ```json\nabcdefghij\n``` ```json k", "abcdefghij"),
        ("``` 0123456789```", "``` 0123456789```"),
        (" {} ", " {} "),
    ],
)
def test_where_the_answer_is(text, answer):
    assert lenient_answer(text) == answer


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=3), values | st.text() | st.floats(allow_nan=False)))
def test_sound_json_is_read_as_after_repair(value):
    text = json.dumps(value).replace("True", "true").replace("False", "f").replace("None", "null")
    repair, read = repair_tools()
    assert read_leniently(text) == read(repair(text))


RIGHT = json.dumps(LAMP.difference)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(RIGHT)), st.integers(0, 9), st.text('{}[]",: a', max_size=3))
def test_damaged_json_is_repaired_as_without_a_budget(start, length, insertion):
    text = RIGHT[:start] + insertion + RIGHT[start + length :]
    repair, read = repair_tools()
    try:
        expected = read(repair(text))
    except Exception as error:
        with pytest.raises(type(error)):
            read_leniently(text)
    else:
        assert read_leniently(text) == expected


@pytest.mark.parametrize("piece", ['{"', "][{", "{,"])
def test_a_repair_that_would_take_minutes_is_stopped(piece):
    start = time.thread_time()
    judgement = upstream_judgement(piece * (20_000 // len(piece)), LAMP, "difference")
    assert judgement == ("over the limit", 0.0, 0.0)
    assert time.thread_time() - start < 5


@settings(max_examples=150, deadline=None)
@given(st.text() | st.text('{}[]",: \n`\\tfn1-.e').map(lambda text: '{"modified":' + text))
def test_any_text_is_judged(text):
    judgement = upstream_judgement(text, LAMP, "difference")
    assert 0 <= judgement.task_specific <= 1.3


def test_whole_states_are_compared_alike():
    check(LAMP, json.dumps(LAMP.target), 1, 1, 1, "state")
    check(LAMP, json.dumps(LAMP.state), 5 / 7, 2 / 3, 0, "state")
    check(TABLE, json.dumps(TABLE.target), 1, 1, 1, "state")
    check(LAMP, json.dumps({"objects": LAMP.target["objects"]}), 1, 0, 1, "state")
    assert upstream_judgement("{}", LAMP, "state").reason == "wrong shape"


def test_modes_without_a_score():
    state, target = ({"objects": s["objects"], "score": None} for s in (LAMP.state, LAMP.target))
    transition = dataclasses.replace(LAMP, mode="tick", state=state, target=target)
    check(transition, json.dumps(transition.difference), 1, 1, 1)
    check(transition, json.dumps({"modified": [], "removed": []}), 5 / 7, 1, 0)


def test_missing_packages_are_named_at_once(monkeypatch):
    repair_tools.cache_clear()
    monkeypatch.setitem(sys.modules, "dirtyjson", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"dirtyjson: pip install 'rlvr-world\[upstream\]"
    ):
        TextGameJudge("upstream")
    assert TextGameJudge("strict").rule == "strict"


def like_the_original(transition: Transition) -> tuple[bool, bool]:
    """Whether the original knows of a change in properties or contents, and of new objects."""
    before = {item["uuid"]: item for item in transition.state["objects"]}
    pairs = [(before.get(item["uuid"]), item) for item in transition.target["objects"]]
    changes = any(
        old["properties"] != new["properties"] or sorted(old["contains"]) != sorted(new["contains"])
        for old, new in pairs
        if old
    )
    return changes, any(old is None for old, _ in pairs)


@needs_file
def test_the_measured_habits_of_the_original():
    """As measured on the official test set: the right answer earns 1.3, 0.3, or 1.095 to 1.099."""
    added_rows = forgotten = 0
    for transition in transitions("full", step=4):
        right = transition.difference
        changes, added = like_the_original(transition)
        judgement = upstream_judgement(json.dumps(right), transition, "difference")
        nothing = upstream_judgement(json.dumps(NOTHING), transition, "difference")
        assert (judgement.reason == "right") == (not added)
        assert (nothing.reason == "right") == (
            not changes and not added and canonical(transition.state | {"objects": []})
            == canonical(transition.target | {"objects": []})
        )  # fmt: skip
        if added:
            added_rows += 1
            assert 1.095 < judgement.task_specific < 1.0995
            continue
        assert judgement.task_specific == pytest.approx(1.3 if changes else 0.3)
        if right["removed"]:
            forgotten += 1
            kept = json.dumps(right | {"removed": []})
            assert upstream_judgement(kept, transition, "difference").reason == "right"
    assert added_rows > 20
    assert forgotten > 10
