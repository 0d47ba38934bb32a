"""Long prompts: what they ask for in each mode, and the game that they show as an example."""

import dataclasses
import json
from typing import get_args

import pytest
from text_states import LAMP

from rlvr_world.language.transition import Form
from rlvr_world.text_game.answer import PHRASES
from rlvr_world.text_game.examples import EXAMPLE_RULES, EXAMPLES
from rlvr_world.text_game.judge import TextGameJudge, strict_judgement
from rlvr_world.text_game.prompt import RULES, answer_text, compact_json, prompt_text
from rlvr_world.text_game.transition import WITHOUT_SCORE, Mode, Transition

GAME = {"objects": "Rule of objects.", "actions": "Rule of actions.", "score": "Rule of score."}


def lamp(mode: Mode) -> Transition:
    sides = (LAMP.state, LAMP.target)
    if mode == "score":
        sides = (LAMP.target | {"score": LAMP.state["score"]}, LAMP.target)
    state, target = (s | {"score": None} if mode in WITHOUT_SCORE else s for s in sides)
    return dataclasses.replace(LAMP, mode=mode, state=state, target=target)


@pytest.mark.parametrize("form", get_args(Form))
@pytest.mark.parametrize("mode", get_args(Mode))
def test_a_prompt_shows_a_whole_game_of_its_mode_with_right_answers(mode, form):
    text = prompt_text(lamp(mode), GAME, "long", form)
    assert f"`{PHRASES[0]}" not in text
    shown, own = text.split("The game to simulate:")
    for title, rule in EXAMPLE_RULES.items():
        assert (rule in shown) == (title in RULES[mode])
        assert (GAME[title] in own) == (title in RULES[mode])
    answers = [line for line in shown.splitlines() if line.startswith(PHRASES[0])]
    assert len(answers) == len(EXAMPLES[mode]) == (2 if mode == "full" else 1)
    for step, answer in zip(EXAMPLES[mode], answers, strict=True):
        assert step.problem(step.to_json()) is None
        assert strict_judgement(answer, step, form).reason == "right"
        assert compact_json(step.state) in shown
    assert compact_json(lamp(mode).state) in own
    assert compact_json(lamp(mode).target) not in own


def test_in_one_example_only_time_changes_something():
    acted, waited = EXAMPLES["full"]
    assert "look around: nothing changes" in EXAMPLE_RULES["actions"]
    assert waited.action == "look around"
    assert waited.changed
    on, hot = acted.difference["modified"]
    assert (on["properties"], hot["properties"]) == ({"isOn": True}, {"temperature": 30.0})


@pytest.mark.parametrize("rule", ["strict", "upstream"])
def test_in_mode_score_the_score_is_all_that_is_asked_for(rule):
    if rule == "upstream":
        pytest.importorskip("json_repair", reason="needs the extra upstream")
    step = lamp("score")
    text = prompt_text(step, GAME, "long", "difference")
    assert "`modified`" not in text
    assert "New objects" not in text
    for form in get_args(Form):
        judge = TextGameJudge(rule, form=form)
        for style in ("long", "compact"):
            answer = answer_text(step, style, form)
            assert json.loads(answer.removeprefix(PHRASES[0])) == {"score": step.target["score"]}
            assert judge(answer, step).reason == "right"
        assert judge(answer.replace("1", "2"), step).reason == "wrong state"
        assert judge(answer, LAMP).reason == "wrong shape"


def test_modes_without_a_score_do_not_ask_for_one():
    for mode in WITHOUT_SCORE:
        text = prompt_text(lamp(mode), GAME, "long", "difference")
        assert "`score`" not in text
        assert '"score":{' not in text
