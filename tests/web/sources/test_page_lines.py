import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlvr_world.web.sources.page_lines import LeftOut, parse_comma_line, read_page
from rlvr_world.web.tree import Element, parse_tree, tree_text

LINES = {
    "[a5] button 'Buy'": Element("a5", "button", "Buy"),
    "\t[12] textbox 'Name' value='Ann, Lee', clickable, focused, expanded=False": Element(
        "12", "textbox", "Name",
        (("value", "Ann, Lee"), ("clickable", "True"), ("focused", "True"), ("expanded", "False")),
        1,
    ),
    "[3] spinbutton '' value=2, valuemin=0.5, valuetext=''": Element(
        "3", "spinbutton", "", (("value", "2"), ("valuemin", "0.5"), ("valuetext", ""))
    ),
    "[7] generic, live='polite', atomic": Element(
        "7", "generic", "", (("live", "polite"), ("atomic", "True"))
    ),
    "\t\tStaticText \"it's\"": Element("", "StaticText", "it's", (), 2),
}  # fmt: skip
"""Lines as BrowserGym writes them."""


@pytest.mark.parametrize("line", LINES)
def test_lines_with_commas(line):
    assert parse_comma_line(line) == LINES[line]


@pytest.mark.parametrize(
    "line",
    ["", "generic", "words", "two words", "[5] link", "[5] link 'a',", "[5] link 'a', b='c",
     "[5] link 'a' value=", "[5] link 'a' focused", "[5] link 'a', b=c d"],
)  # fmt: skip
def test_what_is_no_line_with_commas(line):
    assert parse_comma_line(line) is None


def test_texts_without_an_id_get_that_of_what_is_around_them():
    page = """RootWebArea 'Shop', focused
\t[5] link 'a'
\t\tStaticText 'one'
\t\tStaticText 'two'
\tStaticText 'three'"""
    left_out = LeftOut()
    found = read_page(page, "row 1", left_out)
    assert [element.id for element in found] == ["page.1", "5", "5.1", "5.2", "page.2"]
    assert parse_tree(tree_text(found)) == found
    assert left_out == LeftOut()


def test_what_is_left_out_is_counted_and_named():
    left_out = LeftOut()
    page = "Tab 0 (current): a | Tab 1: b\r\n\r\n[1] link 'a' x: y\r\nno element\n[1] link 'b'"
    assert read_page(page, "folder/test.jsonl row 3", left_out) == parse_tree("[1] link 'a' x: y")
    assert left_out == LeftOut(2, "test.jsonl row 3: 'no element' holds no element")
    again = LeftOut()
    read_page("[1] link 'a'\n[1] link 'b'", "row 4", again)
    assert again.first == "row 4: \"[1] link 'b'\" has an id that stands above"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*LINES, "[1] a 'b' c: d", "x", "[1] a 'b", " "]) | st.text()))
def test_every_line_is_read_or_counted(lines):
    text = "\n".join(lines)
    left_out = LeftOut()
    found = read_page(text, "row 1", left_out)
    full = [line for line in text.split("\n") if line.strip() and not line.startswith("Tab ")]
    assert len(found) + left_out.lines == len(full)
    assert parse_tree(tree_text(found)) == found
