import json

from hypothesis import given
from hypothesis import strategies as st
from text_states import LAMP, score, thing, transition

from rlvr_world.text_game.judge import TextGameJudge
from rlvr_world.text_game.prompt import answer_text, prompt_text
from rlvr_world.text_game.references import references, referred, referred_text, resolved

QUOTED = transition(
    [thing(1, 'say "hi" \\ bye', {"holds": "cup (ID: 2)"}, ("cup (ID: 2)",)), thing(2, "cup", {})],
    [thing(1, 'say "hi" \\ bye', {"holds": None}), thing(2, "cup", {"isFull": True})],
    (score(), score(1)),
    action="take cup (ID: 2)",
)


def test_a_prompt_has_each_name_once_and_refers_to_it_elsewhere():
    prompt = prompt_text(QUOTED, None, "compact", "difference")
    assert prompt == (
        '{"objects":[{"uuid":1,"name":"say \\"hi\\" \\\\ bye","type":"Say \\"Hi\\" \\\\ Bye",'
        '"properties":{"holds":"#2"},"contains":["#2"]},'
        '{"uuid":2,"name":"cup","type":"Cup","properties":{},"contains":[]}],'
        '"score":{"score":0,"gameOver":false,"gameWon":false}}\n> take #2\n'
    )


def test_a_resolved_answer_names_objects_in_full_and_is_right():
    for step in (LAMP, QUOTED):
        prompt = prompt_text(step, None, "compact", "difference")
        answer = resolved(answer_text(step, "compact", "difference"), prompt)
        assert json.loads(answer)["modified"] == step.difference["modified"]
        assert TextGameJudge()(answer, step).reason == "right"


def test_unknown_references_and_other_strings_stay():
    prompt = prompt_text(LAMP, None, "compact", "difference")
    assert resolved('["#1","#77","a #1","#x"]', prompt) == '["lamp (ID: 1)","#77","a #1","#x"]'


def test_names_without_their_uuid_have_no_reference():
    state = {"objects": [thing(1, "lamp", {}) | {"name": "lamp"}], "score": score()}
    assert references(state) == {}
    assert referred_text("take lamp", {}) == "take lamp"


def test_longer_names_come_first():
    known = {"box (ID: 1)": "#1", "red box (ID: 1)": "#5"}
    assert referred_text("open red box (ID: 1)", known) == "open #5"
    assert referred({"a": ["box (ID: 1)", 3, None]}, known) == {"a": ["#1", 3, None]}


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_can_be_resolved(answer, prompt):
    assert isinstance(resolved(answer, prompt), str)
