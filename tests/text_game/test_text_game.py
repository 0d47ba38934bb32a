import copy
import dataclasses
import json

import pytest
from bytesized32 import documents, needs_file
from hypothesis import given, settings
from text_states import LAMP, TABLE, canonical, score, states, thing

from rlvr_world.text_game.facts import same_value
from rlvr_world.text_game.transition import Transition, apply, diff


def test_a_difference_lists_whole_objects_removed_uuids_and_a_new_score():
    assert TABLE.difference == {
        "modified": [TABLE.target["objects"][0], TABLE.target["objects"][2]],
        "removed": [3],
        "score": {"score": 1, "gameOver": False, "gameWon": False},
    }
    assert canonical(apply(TABLE.state, TABLE.difference)) == canonical(TABLE.target)


def test_an_unchanged_state_gives_an_empty_difference_whatever_its_order():
    other = {
        "objects": [
            item | {"contains": item["contains"][::-1]} for item in TABLE.state["objects"][::-1]
        ],
        "score": dict(TABLE.state["score"]),
    }
    assert diff(TABLE.state, other) == {"modified": [], "removed": [], "score": {}}


def test_apply_leaves_the_state_as_it_was():
    before = copy.deepcopy(TABLE.state)
    apply(TABLE.state, TABLE.difference)
    assert TABLE.state == before


@settings(max_examples=150, deadline=None)
@given(states, states)
def test_a_difference_leads_from_any_state_to_any_other(state, target):
    difference = json.loads(json.dumps(diff(state, target)))
    assert canonical(apply(state, difference)) == canonical(target)
    transition = dataclasses.replace(LAMP, state=state, target=target)
    assert transition.changed == (canonical(state) != canonical(target))


@needs_file
@pytest.mark.parametrize(
    ("mode", "step"), [("full", 10), ("action", 20), ("tick", 20), ("score", 20)]
)
def test_real_rows_round_trip(mode, step):
    count = changed = 0
    for document in documents(mode, step):
        state, target = canonical(document["state"]), canonical(document["target"])
        document["changed"] = state != target
        transition = Transition.from_json(document)
        assert transition.to_json() == document
        assert canonical(apply(transition.state, transition.difference)) == target
        count, changed = count + 1, changed + transition.changed
    assert count == -(-11_535 // step)
    assert 0 < changed < count


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (1, 1.0, True), (1, True, False), (0, False, False), (True, True, True),
        (None, False, False), (None, 0, False), ("1", 1, False), ([1, 2], [2, 1], False),
        ([1], [True], False), ({"a": [1]}, {"a": [1.0]}, True), ({"a": 1}, {"a": 1, "b": 1}, False),
        ({}, [], False), ([], None, False), ({"a": {"b": 0}}, {"a": {"b": False}}, False),
    ],
)  # fmt: skip
def test_values_are_the_same_as_json_has_them(first, second, same):
    assert same_value(first, second) is same
    assert same_value(second, first) is same


def broken(*path, value=...):
    """The lamp's document with one value replaced, or missing."""
    document = copy.deepcopy(LAMP.to_json())
    *parents, last = path
    place = document
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


DEEP = json.loads("[" * 20 + "]" * 20)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "a transition must be a JSON object, got list"),
        (broken("task"), "the key task is missing"),
        (broken("changed"), "the key changed is missing"),
        (broken("changed", value=False), "changed is False, but state and target say True"),
        (broken("uuid_base", value="3"), "uuid_base must be of type int, got str"),
        (broken("mode", value="both"), "mode must be one of full, action, tick, score, got both"),
        (broken("mode", value="tick"), "state: score must be null in mode tick"),
        (broken("state", "score", value=None), "state: score must not be null in mode full"),
        (broken("state", "objects"), "state: a state must hold exactly the keys objects, score"),
        (broken("target", "objects", value={}), "target: objects must be a list of objects, got"),
        (broken("target", "objects", 1, "name"), r"target: objects\[1\] must be an object with ex"),
        (broken("state", "objects", 0, "uuid", value=True), r"objects\[0\].uuid must be of type i"),
        (broken("state", "objects", 0, "uuid", value=2), r"objects\[1\].uuid is that of another"),
        (broken("state", "objects", 0, "contains", value=[2]), r"\[0\].contains must hold names"),
        (broken("state", "score", value=score("1")), "state: score.score must be of type int or f"),
        (broken("state", "score", value={"score": 1}), "score must hold exactly the keys score, "),
        (broken("state", "score", value=score(float("inf"))), "state: score.score must be finite"),
        (broken("state", "objects", 0, "properties", "level", value=float("nan")), "level must be"),
        (broken("state", "objects", 0, "properties", "level", value=DEEP), "at most 16 levels"),
        (broken("state", "objects", 0, "properties", "level", value={1, 2}), "level must be JSON"),
    ],
)  # fmt: skip
def test_a_bad_document_is_named_in_one_sentence(document, message):
    with pytest.raises(ValueError, match=message) as error:
        Transition.from_json(document, "train-000000.tar, toy-7")
    assert str(error.value).startswith("train-000000.tar, toy-7: ")
    assert "\n" not in str(error.value)


def test_unknown_keys_are_left_aside():
    document = TABLE.to_json()
    assert Transition.from_json(document | {"state_id": 7}).to_json() == document


def test_equal_transitions_are_equal_whatever_was_worked_out():
    twin = Transition.from_json(LAMP.to_json())
    assert LAMP.difference
    assert twin == LAMP
    assert twin != dataclasses.replace(LAMP, action="go")


def test_work_is_done_once():
    transition = Transition.from_json(LAMP.to_json())
    calls = []
    for _ in range(2):
        assert transition.once("key", lambda: calls.append(1) or thing(1, "a", {})) is not None
    assert calls == [1]
