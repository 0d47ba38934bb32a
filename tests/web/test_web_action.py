import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlvr_world.web.action import ALONE, Action

LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=40)
IDS = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=6)
WORDS = st.from_regex(r"[^\s\]\[]{1,20}", fullmatch=True)

ACTIONS = st.one_of(
    st.builds(Action, st.sampled_from(["click", "hover"]), IDS, target=LINES.map(str.strip)),
    st.builds(Action, st.just("type"), IDS, LINES, st.booleans()),
    st.builds(Action, st.sampled_from(["press", "goto"]), st.just(""), WORDS),
    st.builds(Action, st.just("scroll"), st.just(""), st.sampled_from(["up", "down"])),
    st.builds(Action, st.just("tab_focus"), st.just(""), st.integers(0, 9999).map(str)),
    st.builds(Action, st.just("stop"), st.just(""), LINES),
    st.builds(Action, st.sampled_from(ALONE)),
)


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("click [12]", Action("click", "12")),
        ("  hover [a3]\n", Action("hover", "a3")),
        ("type [3] [red shoes] [1]", Action("type", "3", "red shoes", True)),
        ("type [3] [red shoes] [0]", Action("type", "3", "red shoes", False)),
        ("type [3] [red shoes]", Action("type", "3", "red shoes", True)),
        ("type [3] [a] b [c]] [0]", Action("type", "3", "a] b [c]", False)),
        ("type [3] [] [0]", Action("type", "3", "", False)),
        ("press [Control+a]", Action("press", text="Control+a")),
        ("scroll [direction=down]", Action("scroll", text="down")),
        ("scroll [up]", Action("scroll", text="up")),
        ("tab_focus [2]", Action("tab_focus", text="2")),
        ("goto [http://shop/a?b=[1]]", Action("goto", text="http://shop/a?b=[1]")),
        ("stop [it costs $3]", Action("stop", text="it costs $3")),
        ("stop", Action("stop")),
        ("go_back", Action("go_back")),
        ("page_focus [1]", Action("tab_focus", text="1")),
        ("click [7] where [7] is", Action("click", "7")),
        ("click [7] where [7] is tab 'a' x: [1]", Action("click", "7", target="tab 'a' x: [1]")),
        (
            "type [3] [a b\n] where [3] is textbox 'x'",
            Action("type", "3", "a b", True, "textbox 'x'"),
        ),
        ("type [3] [a] where [3] is textbox 'x'", Action("type", "3", "a", False, "textbox 'x'")),
        ("type [3] [a] [1] where [3] is b", Action("type", "3", "a", True, "b")),
        ("type [3] [a] where [3] is b] [0]", Action("type", "3", "a] where [3] is b", False)),
    ],
)
def test_texts(text, action):
    assert Action.parse(text) == action


@pytest.mark.parametrize(
    "text",
    [
        "", "click", "click 12", "click []", "click [1 2]", "click [12] now", "Click [12]",
        "type [3] red [1]", "type [3] [a\nb] [1]", "scroll [left]", "tab_focus [one]",
        "click [7] where [8] is link 'a'", "press [a] where [a] is b",
        "go_back [1]", "goto [two words]", "press []", "fly [12]", "click [1]\nclick [2]",
        "type [3] [" + "x" * 10_000 + "] [1]",
    ],
)  # fmt: skip
def test_what_is_no_action(text):
    with pytest.raises(ValueError, match="no action"):
        Action.parse(text)


@given(ACTIONS)
def test_texts_say_their_action(action):
    assert Action.parse(str(action)) == action


@settings(max_examples=300)
@given(st.text(max_size=80))
def test_any_text_is_an_action_or_none(text):
    try:
        action = Action.parse(text)
    except ValueError:
        return
    assert Action.parse(str(action)) == action


@pytest.mark.parametrize(
    "fields",
    [("click", "1 2"), ("click", ""), ("type", "3", "a\nb"), ("go_back", "", "x"), ("jump",)],
)
def test_fields_that_are_no_action(fields):
    with pytest.raises(ValueError, match="cannot be written"):
        Action(*fields)
