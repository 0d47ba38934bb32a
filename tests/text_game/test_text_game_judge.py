"""The strict rule, on hand-worked cases and on every published row."""

import copy
import dataclasses
import json

import pytest
from bytesized32 import ROWS, needs_file, transitions
from text_states import LAMP, NOTHING, TABLE, canonical, edited, thing

from rlvr_world.text_game.facts import Judgement, equation_4
from rlvr_world.text_game.judge import RULES, TextGameJudge, strict_judgement
from rlvr_world.text_game.transition import apply

JUDGE = TextGameJudge()
BOTH = {"difference": "difference", "state": "target"}
"""By form, the attribute of a transition that holds the right answer."""


def judged(transition, answer, form="difference") -> Judgement:
    return strict_judgement(json.dumps(answer), transition, form)


def test_equation_4_weighs_as_the_paper_says():
    assert equation_4(1.0, 1.0, True, 1.0) == pytest.approx(1.3)
    assert equation_4(1.0, 1.0, True, None) == pytest.approx(0.3)
    assert equation_4(0.5, 1 / 3, False, 0.25) == pytest.approx(0.045 + 0.01 / 3 + 0.25)


@pytest.mark.parametrize("form", BOTH)
@pytest.mark.parametrize("transition", [LAMP, TABLE])
def test_the_right_answer(transition, form):
    judgement = judged(transition, getattr(transition, BOTH[form]), form)
    assert judgement == ("right", 1.0, pytest.approx(1.3))


def test_no_change_where_much_changes():
    """Right of the table's 26 facts said or true: 4 of its own, 5 of the cup, 2 of the score."""
    judgement = judged(TABLE, NOTHING)
    assert judgement.reason == "wrong state"
    assert judgement.share == pytest.approx(11 / 26)
    assert judgement.task_specific == pytest.approx(0.09 * 9 / 23 + 0.01 * 2 / 3)


def test_a_part_of_what_changes():
    """Nine facts change: two of the table, that the apple is there, five of the core, the score."""
    halfway = {"modified": [TABLE.target["objects"][2]], "removed": [3], "score": {}}
    judgement = judged(TABLE, halfway)
    assert judgement.share == pytest.approx(16 / 19)
    expected = 0.09 * 14 / 16 + 0.01 * 2 / 3 + 6 / 9
    assert judgement.task_specific == pytest.approx(expected)


def test_a_property_that_goes_is_a_change():
    target = copy.deepcopy(LAMP.state)
    del target["objects"][0]["properties"]["level"]
    transition = dataclasses.replace(LAMP, target=target)
    assert judged(transition, NOTHING).task_specific == pytest.approx(0.09 * 12 / 13 + 0.01)
    assert judged(transition, transition.difference).task_specific == pytest.approx(1.3)


def lamp(**changes):
    """An edit of the lamp in the right answer."""
    return lambda answer: answer["modified"][0].update(changes)


def lamp_property(**changes):
    return lambda answer: answer["modified"][0]["properties"].update(changes)


@pytest.mark.parametrize(
    "edit",
    [
        lamp(name="lamp"), lamp(type="Torch"), lamp(contains=[]), lamp_property(extra=None),
        lamp(contains=["bulb (ID: 2)"] * 2), lamp_property(level=True), lamp_property(isOn=1),
        lamp_property(tags=["b", "a"]), lamp_property(tags="ab"), lamp_property(level="1"),
        lambda answer: answer["modified"][0]["properties"].pop("level"),
        lambda answer: answer["modified"].append(thing(3, "ghost", {})),
        lamp(uuid=7), lambda answer: answer["modified"].pop(),
        lambda answer: answer["removed"].append(8), lambda answer: answer.update(score={}),
        lambda answer: answer["score"].update(score=2),
        lambda answer: answer["score"].update(gameOver=True),
    ],
)  # fmt: skip
def test_one_thing_wrong_is_wrong(edit):
    judgement = strict_judgement(edited(LAMP.difference, edit), LAMP, "difference")
    assert judgement.reason == "wrong state"
    assert judgement.share < 1
    assert judgement.task_specific < 1.1


@pytest.mark.parametrize(
    "edit",
    [
        lamp_property(level=1.0), lambda answer: answer["modified"].reverse(),
        lambda answer: answer["score"].update(score=1.0),
        lambda answer: answer["modified"].append(thing(2, "x", {})) or answer["modified"].pop(),
    ],
)  # fmt: skip
def test_other_words_for_the_same_state_are_right(edit):
    assert strict_judgement(edited(LAMP.difference, edit), LAMP, "difference").reason == "right"


def test_contents_have_no_order():
    answer = edited(TABLE.difference, lambda answer: answer["modified"][0]["contains"].reverse())
    assert strict_judgement(answer, TABLE, "difference").reason == "right"


def test_the_score_must_be_said_where_there_is_one():
    bare = {key: value for key, value in LAMP.difference.items() if key != "score"}
    assert judged(LAMP, bare) == ("wrong shape", 0.0, 0.0)
    assert judged(LAMP, LAMP.target | {"score": None}, "state").reason == "wrong shape"


def test_modes_without_a_score():
    state, target = ({"objects": s["objects"], "score": None} for s in (LAMP.state, LAMP.target))
    transition = dataclasses.replace(LAMP, mode="tick", state=state, target=target)
    right = transition.difference
    for score in ({}, None):
        assert judged(transition, right | {"score": score}).task_specific == pytest.approx(1.3)
    assert judged(transition, {"modified": right["modified"], "removed": []}).reason == "right"
    assert judged(transition, right | {"score": LAMP.target["score"]}).reason == "wrong shape"
    assert judged(transition, target, "state").reason == "right"
    assert judged(transition, NOTHING).task_specific == pytest.approx(0.09 * 11 / 13 + 0.01)


def test_a_state_without_objects():
    empty = {"objects": [], "score": LAMP.state["score"]}
    transition = dataclasses.replace(LAMP, state=empty, target=empty)
    assert judged(transition, NOTHING) == ("right", 1.0, pytest.approx(0.3))
    wrong = NOTHING | {"modified": [thing(1, "ghost", {})]}
    assert judged(transition, wrong).task_specific == pytest.approx(0.01)


def invented(transition) -> dict:
    known = [*transition.state["objects"], *transition.target["objects"]]
    ghost = known[0] | {"uuid": 1 + max(item["uuid"] for item in known)}
    right = transition.difference
    return right | {"modified": [*right["modified"], ghost]}


def decorated(transition) -> dict:
    right = copy.deepcopy(transition.difference)
    if not right["modified"]:
        item = next(i for i in transition.state["objects"] if i["uuid"] not in right["removed"])
        right["modified"].append(copy.deepcopy(item))
    right["modified"][0]["properties"]["extra"] = False
    return right


@needs_file
def test_every_published_row():
    rows = removals = unchanged = 0
    for transition in transitions("full"):
        same = canonical(transition.state) == canonical(transition.target)
        best = pytest.approx(0.3 if same else 1.3)
        right = transition.difference
        reached = apply(transition.state, right)
        assert canonical(reached) == canonical(transition.target)
        assert judged(transition, right) == ("right", 1.0, best)
        assert (judged(transition, NOTHING).reason == "right") == same
        for wrong in (invented(transition), decorated(transition)):
            judgement = judged(transition, wrong)
            assert judgement.reason == "wrong state"
            assert judgement.task_specific < (0.11 if same else 1.11)
        if right["removed"]:
            removals += 1
            kept = judged(transition, right | {"removed": right["removed"][1:]})
            assert kept.reason == "wrong state"
            assert kept.task_specific < 1.1
        rows, unchanged = rows + 1, unchanged + same
    assert rows == ROWS
    assert 0 < unchanged < ROWS
    assert removals > 100


@needs_file
@pytest.mark.parametrize("mode", ["full", "action", "tick", "score"])
def test_the_whole_state_as_an_answer(mode):
    for transition in transitions(mode, step=40):
        assert judged(transition, transition.target, "state").reason == "right"
        same = canonical(transition.state) == canonical(transition.target)
        assert (judged(transition, transition.state, "state").reason == "right") == same
        fewer = transition.target | {"objects": transition.target["objects"][1:]}
        assert judged(transition, fewer, "state").reason == "wrong state"


def fresh():
    return dataclasses.replace(LAMP)


def test_an_answer_is_judged_once_for_each_rule_and_form(monkeypatch):
    calls = []
    monkeypatch.setitem(RULES, "strict", lambda *given: calls.append(given) or Judgement("right"))
    transition, other = fresh(), fresh()
    for judge in (TextGameJudge(), TextGameJudge(), TextGameJudge(form="state")):
        for text in ("a", "b", "a"):
            assert judge(text, transition).reason == "right"
    TextGameJudge()("a", other)
    assert [call[0] for call in calls] == ["a", "b", "a", "b", "a"]


def test_a_text_that_is_too_long_is_not_read(monkeypatch):
    monkeypatch.setitem(RULES, "strict", lambda *given: Judgement("right", 1.0, 1.3))
    judge = TextGameJudge(characters=10)
    assert judge("x" * 10, fresh()).reason == "right"
    assert judge("x" * 11, fresh()) == ("over the limit", 0.0, 0.0)


def test_an_answer_that_takes_too_long_counts_as_stopped():
    text = json.dumps(LAMP.difference)
    assert TextGameJudge(seconds=1e-9)(text, fresh()) == ("over the limit", 0.0, 0.0)
    assert TextGameJudge(seconds=10.0)(text, fresh()).reason == "right"


@pytest.mark.parametrize("limits", [{"characters": 0}, {"seconds": 0.0}, {"seconds": float("nan")}])
def test_limits_must_be_positive(limits):
    with pytest.raises(ValueError, match="a judge needs limits above 0"):
        TextGameJudge(**limits)
