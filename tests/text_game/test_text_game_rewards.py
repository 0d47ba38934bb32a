import copy
import dataclasses
import json
import pickle

import pytest
import torch
from text_states import LAMP, NOTHING, TABLE, edited

from rlvr_world.reward import RewardSet
from rlvr_world.text_game import judge
from rlvr_world.text_game.facts import Judgement
from rlvr_world.text_game.rewards import StateMatch, TaskSpecific, ValidJSON

REWARDS = [StateMatch, TaskSpecific, ValidJSON]
RIGHT = json.dumps(LAMP.difference)
ANSWERS = {
    "right": f"It is switched on. The final answer is: {RIGHT}",
    "wrong state": json.dumps(NOTHING),
    "wrong shape": "{}",
    "not JSON": RIGHT[:-1],
    "no answer": "I wonder",
}


def fresh(transition=LAMP):
    return dataclasses.replace(transition)


def scores(reward, texts=None, transition=LAMP) -> list[float]:
    texts = list(ANSWERS.values()) if texts is None else texts
    return reward.scores(texts, [fresh(transition)], {}).tolist()


def test_the_values_of_each_kind_of_answer():
    assert scores(StateMatch()) == [1, 0, 0, 0, 0]
    assert scores(ValidJSON()) == [1, 1, 1, 0, 0]
    half = 0.09 * 11 / 13 + 0.01 * 2 / 3
    assert scores(TaskSpecific()) == pytest.approx([1.3, half, 0, 0, 0])


def test_the_upstream_rule_repairs():
    pytest.importorskip("json_repair", reason="needs the extra upstream")
    assert scores(StateMatch("upstream")) == [1, 0, 0, 1, 0]
    assert scores(ValidJSON("upstream")) == [1, 1, 1, 1, 0]
    half = 0.09 * 5 / 7 + 0.01 * 2 / 3
    assert scores(TaskSpecific("upstream")) == pytest.approx([1.3, half, 0, 1.3, 0])


def test_where_the_rules_differ():
    pytest.importorskip("json_repair", reason="needs the extra upstream")
    right = json.dumps(TABLE.difference)
    forgotten = json.dumps(LAMP.difference | {"removed": [9]})
    extra = edited(LAMP.difference, lambda a: a["modified"][0]["properties"].update(extra=1))
    for rule, expected in (("strict", [1, 0, 0]), ("upstream", [0, 1, 1])):
        reward = StateMatch(rule)
        assert scores(reward, [right], TABLE) == expected[:1]
        assert scores(reward, [forgotten, extra]) == expected[1:]


@pytest.mark.parametrize("reward", REWARDS)
def test_answers_may_say_the_whole_state(reward):
    whole = reward(form="state")
    said = [json.dumps(LAMP.target), json.dumps(LAMP.difference)]
    right = {StateMatch: [1, 0], TaskSpecific: [1.3, 0], ValidJSON: [1, 1]}[reward]
    assert scores(whole, said) == pytest.approx(right)


def test_reasons_by_group():
    texts = [*ANSWERS.values(), json.dumps(TABLE.difference), *list(ANSWERS.values())[1:]]
    expected = [*ANSWERS, "right", *list(ANSWERS)[1:]]
    assert StateMatch().reasons(texts, [fresh(), fresh(TABLE)]) == expected
    with pytest.raises(ValueError, match="10 predictions for 3 targets"):
        StateMatch().reasons(texts, [fresh()] * 3)


def test_a_set_of_rewards_and_its_reasons_judge_each_different_answer_once(monkeypatch):
    calls = []
    monkeypatch.setitem(
        judge.RULES, "strict", lambda text, *_: calls.append(text) or Judgement("right", 1.0, 1.3)
    )
    rewards = RewardSet(
        {"match": StateMatch(), "task": TaskSpecific(weight=0.5), "json": ValidJSON()}
    )
    targets = [fresh(), fresh(TABLE)]
    texts = ["a", "b", "a", "c", "c", "c"]
    found = rewards.scores(texts, targets, {})
    assert rewards["match"].reasons(texts, targets) == ["right"] * 6
    assert calls == ["a", "b", "c"]
    assert found["task"].tolist() == pytest.approx([1.3] * 6)
    assert rewards.total(found).tolist() == pytest.approx([2.65] * 6)


def test_what_the_limits_stop_scores_0_and_is_counted():
    for limits in ({"characters": len(RIGHT) - 1}, {"seconds": 1e-9}):
        for reward in REWARDS:
            stopping = reward(**limits)
            assert scores(stopping, [RIGHT, RIGHT]) == [0, 0]
            assert stopping.reasons([RIGHT], [fresh()]) == ["over the limit"]
    assert StateMatch(characters=len(RIGHT)).reasons([RIGHT], [fresh()]) == ["right"]


@pytest.mark.parametrize("reward", REWARDS)
def test_copies_score_alike_and_nothing_is_saved(reward):
    reward = reward(weight=0.5)
    for twin in (copy.deepcopy(reward), pickle.loads(pickle.dumps(reward))):
        assert scores(twin) == scores(reward)
    assert reward.state_dict() == {}
    assert reward.score([RIGHT], [fresh()]).dtype == torch.float32


def test_labels_name_the_rule():
    assert [reward().label for reward in REWARDS] == ["StateMatch", "TaskSpecific", "ValidJSON"]
    pytest.importorskip("json_repair", reason="needs the extra upstream")
    assert TaskSpecific("upstream").label == "TaskSpecific (upstream)"


def test_transitions_travel_with_what_is_known():
    """A worker may send a transition on; what was judged stays right."""
    transition = fresh()
    before = StateMatch().score([RIGHT], [transition])
    twin = pickle.loads(pickle.dumps(transition))
    assert torch.equal(StateMatch().score([RIGHT], [twin]), before)
