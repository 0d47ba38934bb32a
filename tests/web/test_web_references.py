import pytest
from page_steps import CART, page_step

from rlvr_world.web.answer import read_changes
from rlvr_world.web.items import WebPageItems
from rlvr_world.web.references import focus_and_text, focus_moves
from rlvr_world.web.tree import line_text

PAGE = """[1] RootWebArea 'Form'
\t[2] heading 'Who?'
\t[3] textbox 'Name' focused: true
\t[4] button 'Send'"""
LOST, SENT = "[3] textbox 'Name'", "[4] button 'Send' focused: true"
TYPED = "[3] textbox 'Name' focused: true value: Ann"


def updated(rule, action):
    changes = read_changes(rule(page_step(PAGE, PAGE, action)))
    assert (changes.new, changes.deleted) == ((), ())
    return [line_text(item) for item in changes.updated]


@pytest.mark.parametrize(
    ("action", "moves", "careful"),
    [
        ("click [4]", [LOST, SENT], [LOST, SENT]),
        ("click [3]", [], []),
        ("click [2]", ["[2] heading 'Who?' focused: true", LOST], [LOST]),
        ("type [3] [Ann] [0]", [], [TYPED]),
        ("hover [4]", [], []),
        ("click [9]", [], []),
        ("scroll [down]", [], []),
        ("dance", [], []),
    ],
)
def test_the_focus_moves_and_text_becomes_a_value(action, moves, careful):
    assert updated(focus_moves, action) == moves
    assert updated(focus_and_text, action) == careful


def test_tables_have_both_rows():
    rows = WebPageItems().references({"key": ["a"], "transition": [CART]}, [CART])
    assert list(rows) == ["focus_moves", "focus_and_text"]
    assert rows["focus_moves"]["f1"].tolist() == [pytest.approx(100 * 2 / 6)]
