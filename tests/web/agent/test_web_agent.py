"""Planning: which candidates are considered, which is chosen, and what is kept of it."""

import json

import pytest
from web_agents import Foresees, Likes, Proposes, says, situation

from rlvr_world.web.agent.agent import Agent
from rlvr_world.web.agent.components import Imagined
from rlvr_world.web.agent.local_value import KeyChanges
from rlvr_world.web.changes import Changes
from rlvr_world.web.tree import Element

TWO = ("click [2]", "click [2]", "click [3]")


def decide(proposed, outcomes, scores, **settings):
    agent = Agent(Proposes(*proposed), Foresees(outcomes), value=Likes(scores), **settings)
    return agent.decide(situation()), agent


def test_the_best_imagined_outcome_wins_over_frequency():
    outcomes = {"click [2]": says("worse"), "click [3]": says("better")}
    decision, _ = decide(TWO, outcomes, {"worse": [2.0, 2.0], "better": [4.0, 3.0]})
    assert str(decision.action) == "click [3]"
    assert [c.value for c in decision.candidates] == [2.0, 3.5]


def test_the_prediction_kept_is_that_of_the_chosen_action():
    outcomes = {f"click [{i}]": says(f"page {i}") for i in (2, 3, 4)}
    scores = {"page 2": [1.0], "page 3": [2.0], "page 4": [5.0]}
    proposed = ["click [2]"] * 3 + ["click [3]"] * 2 + ["click [4]"]
    decision, _ = decide(proposed, outcomes, scores)
    kept = decision.record
    chosen = kept["candidates"][kept["chosen"]]
    assert (chosen["action"], chosen["prediction"]) == ("click [4]", "text of page 4")
    assert "page 4" in chosen["summary"]
    assert json.loads(json.dumps(kept)) == kept


def test_the_most_frequent_candidates_are_kept_and_imagined_once():
    outcomes = {f"click [{i}]": says("x") for i in (2, 3, 4, 5)}
    proposed = ["click [5]"] + ["click [2]"] * 3 + ["click [3]"] * 2 + ["click [4]"] * 2
    decision, agent = decide(proposed, outcomes, {"x": [3.0]}, top=3)
    assert agent.imaginer.asked == [["click [2]", "click [3]", "click [4]"]]
    assert [c.frequency for c in decision.candidates] == [3, 2, 2]
    assert str(decision.action) == "click [2]"


def test_what_cannot_be_imagined_or_scored_is_left_out_and_is_no_zero():
    outcomes = {
        "click [2]": Imagined(text="?", error="cannot be read"),
        "click [3]": says("unscored"),
        "click [4]": says("poor"),
    }
    proposed = ["click [2]"] * 3 + ["click [3]"] * 2 + ["click [4]"]
    decision, _ = decide(proposed, outcomes, {"unscored": [], "poor": [1.0]})
    assert str(decision.action) == "click [4]"
    assert [c.value for c in decision.candidates] == [None, None, 1.0]
    assert decision.record["candidates"][0]["prediction_error"] == "cannot be read"


def test_the_most_frequent_one_is_done_if_nothing_can_be_scored():
    outcomes = dict.fromkeys(("click [2]", "click [3]"), Imagined(error="no"))
    assert str(decide(TWO, outcomes, {})[0].action) == "click [2]"


def test_without_imagination_the_policy_decides_alone():
    decision = Agent(Proposes(*TWO)).decide(situation())
    assert str(decision.action) == "click [2]"
    assert decision.record["candidates"][0] == {"action": "click [2]", "frequency": 2}


def test_only_a_whole_stop_stops():
    typed = "type [4] [bus stop] [0]"
    outcomes = {"click [2]": says("good"), typed: says("poor"), "stop [x]": says("poor")}
    scores = {"good": [5.0], "poor": [1.0]}
    decision, agent = decide([typed, typed, "click [2]"], outcomes, scores)
    assert str(decision.action) == "click [2]"
    assert agent.imaginer.asked
    decision, agent = decide(["stop [x]", "stop [x]", "click [2]"], outcomes, scores)
    assert decision.action.kind == "stop"
    assert not agent.imaginer.asked
    decision, _ = decide(["click [2]", "click [2]", "stop [x]"], outcomes, scores)
    assert str(decision.action) == "click [2]"


def test_no_time_means_no_scores():
    agent = Agent(Proposes(*TWO), Foresees({a: says("x") for a in TWO}), value=Likes({"x": [5.0]}))
    decision = agent.decide(situation(deadline=0.0))
    assert [c.value for c in decision.candidates] == [None, None]
    assert str(decision.action) == "click [2]"


def test_nothing_proposed_is_no_action():
    decision = Agent(Proposes()).decide(situation())
    assert decision.action is None
    assert decision.record == {"candidates": [], "chosen": None}


@pytest.mark.parametrize("name", ["samples", "top"])
def test_numbers_must_be_positive(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1"):
        Agent(**{name: 0})


def test_settings_are_plain_and_leave_out_what_is_not_used():
    assert set(Agent().settings) == {"policy", "samples", "top"}
    settings = Agent(imaginer=Foresees({})).settings
    assert set(settings) == {"policy", "imaginer", "summary", "value", "samples", "top"}
    assert json.dumps(settings)


def test_summaries_name_what_matters_first_and_at_most_so_much():
    items = tuple(Element(f"n{i}", "link", f"item {i}") for i in range(20))
    changes = Changes((*items, Element("n99", "link", "tea")), (), ())
    text = KeyChanges(10).sum_up(situation(), None, Imagined(changes))
    assert text.splitlines()[0] == "new: [n99] link 'tea'"
    assert len(text.splitlines()) == 11
    assert text.endswith("and 11 more")
    assert KeyChanges().sum_up(situation(), None, Imagined(Changes())) == "Nothing changes."
