import pytest
import torch
from page_steps import CART, SAME, page_step

from rlvr_world.reward import RewardSet
from rlvr_world.web import judge as web_judge
from rlvr_world.web.prompt import NO_CHANGE, page_answer
from rlvr_world.web.rewards import ItemF1, ItemPrecision, ItemRecall, PageMatch

RIGHT = page_answer(CART, "compact")
HALF = RIGHT.replace("[5]", "[2]").replace("[n1] alert 'Added' live: polite", "None")
REWARDS = {"f1": ItemF1(), "precision": ItemPrecision(weight=0), "recall": ItemRecall(weight=0),
           "exact": PageMatch(weight=0)}  # fmt: skip


def test_four_numbers_of_an_answer():
    answers = [RIGHT, HALF, NO_CHANGE, "?", RIGHT, HALF, NO_CHANGE, "?"]
    rewards = RewardSet(REWARDS)
    scores = rewards.scores(answers, [CART, SAME], {})
    assert scores["precision"].tolist() == pytest.approx([1, 2 / 3, 0, 0, 0, 0, 1, 0])
    assert scores["recall"].tolist() == pytest.approx([1, 0.5, 0, 0, 0, 0, 1, 0])
    assert scores["f1"].tolist() == pytest.approx([1, 4 / 7, 0, 0, 0, 0, 1, 0])
    assert scores["exact"].tolist() == [1, 0, 0, 0, 0, 0, 1, 0]
    assert torch.equal(rewards.total(scores), scores["f1"])


def test_reasons():
    reasons = ItemF1().reasons([RIGHT, HALF, RIGHT + "!", ""], [CART])
    assert reasons == ["right", "wrong state", "wrong shape", "no answer"]
    assert ItemF1(characters=5).reasons([RIGHT], [CART]) == ["over the limit"]


def test_a_set_judges_each_answer_once(monkeypatch):
    calls = []
    strict = web_judge.RULES["strict"]
    monkeypatch.setitem(
        web_judge.RULES, "strict", lambda *pair: calls.append(pair) or strict(*pair)
    )
    step = page_step(CART.tree, CART.next_tree)
    RewardSet(REWARDS).scores([RIGHT, HALF, RIGHT], [step], {})
    assert [text for text, _ in calls] == [RIGHT, HALF]


def test_the_originals_rule_by_name():
    upstream = ItemF1(judge="upstream")
    assert upstream.label == "ItemF1 (upstream)"
    assert upstream.score([NO_CHANGE], [SAME]).tolist() == [1]
    right = page_answer(CART, "long").replace("[n1]", "[9]")
    assert upstream.score([right], [CART]).tolist() == [1]
    assert upstream.score([NO_CHANGE], [CART]).tolist() == [0]
