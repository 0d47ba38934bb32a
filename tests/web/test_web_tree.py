import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_steps import CART, page_elements

from rlvr_world.web.tree import Element, parse_line, parse_tree, tree_text

LINES = {
    "[12] button 'Buy'": Element("12", "button", "Buy"),
    "\t\t[a] img ''": Element("a", "img", "", (), 2),
    '[1] link "it\'s"': Element("1", "link", "it's"),
    r"[1] link 'it\'s \"x\" [2]'": Element("1", "link", 'it\'s "x" [2]'),
    r"[1] StaticText 'a\nb\tc\\d\x07\u200b\U0001f600\d'": Element(
        "1", "StaticText", "a\nb\tc\\d\x07\u200b\U0001f600\\d"
    ),
    "[7] textbox 'Name' required: True value: Ann Lee hasPopup: menu": Element(
        "7", "textbox", "Name", (("required", "True"), ("value", "Ann Lee"), ("hasPopup", "menu"))
    ),
    "[7] link 'a' url: http://x:80/a?b=c": Element(
        "7", "link", "a", (("url", "http://x:80/a?b=c"),)
    ),
    "[7] link 'a' x: 'b c: d' y: ''": Element("7", "link", "a", (("x", "b c: d"), ("y", ""))),
}


@pytest.mark.parametrize("line", LINES)
def test_lines_as_webarena_writes_them(line):
    assert parse_line(line) == LINES[line]


@pytest.mark.parametrize(
    "line",
    ["", "12] button 'x'", "[12] 'x'", "[12] button x", "[12] button 'x", "[1 2] button 'x'",
     "[] button 'x'", "[1] button 'x' ", "[1] button 'x' checked", "[1] button 'x' checked:",
     " [1] button 'x'", "[1] button 'it's'", "[1] button 'x' a: 'b"],
)  # fmt: skip
def test_what_is_no_element(line):
    assert parse_line(line) is None


@settings(max_examples=300, deadline=None)
@given(page_elements)
def test_every_page_comes_back(elements):
    text = tree_text(elements)
    assert parse_tree(text) == elements
    assert tree_text(parse_tree(text)) == text
    assert len(text.split("\n")) == max(len(elements), 1)


def test_a_page_as_text_comes_back():
    assert tree_text(parse_tree(CART.tree)) == CART.tree
    assert parse_tree("") == []


@settings(max_examples=300, deadline=None)
@given(st.text() | st.text(alphabet="[]1a '\"\\:\t\n", max_size=60))
def test_any_text_is_read_or_refused(text):
    lines = text.split("\n") if text else []
    found = [parse_line(line) for line in lines]
    if None in found or len({element.id for element in found}) < len(found):
        with pytest.raises(ValueError, match="line "):
            parse_tree(text)
    else:
        assert parse_tree(text) == found


def test_refusals_name_the_line():
    with pytest.raises(ValueError, match=r"line 2 is not `\[id\] role 'name' key: value`: 'oops'"):
        parse_tree("[1] link 'a'\noops")
    with pytest.raises(ValueError, match="line 2: the id 1 stands twice"):
        parse_tree("[1] link 'a'\n[1] link 'b'")


@pytest.mark.parametrize(
    "element",
    [Element("", "link", "a"), Element("a b", "link", "a"), Element("1]", "link", "a"),
     Element("1", "", "a"), Element("1", "two words", "a"),
     Element("1", "link", "a", (("k:", "v"),)), Element("1", "link", "a", (("", "v"),))],
)  # fmt: skip
def test_what_could_not_be_read_back_is_not_written(element):
    with pytest.raises(ValueError, match="this element cannot be written"):
        tree_text([element])


def test_an_id_is_written_once():
    with pytest.raises(ValueError, match="its id stands twice"):
        tree_text([Element("1", "link", "a"), Element("1", "link", "b")])


@pytest.mark.parametrize(
    "line",
    ["[1] link '" + "\\" * 20_001, "[1] link '" + "\\'" * 10_000, "[" * 20_000,
     "[1] link 'a'" + " a: b" * 4_000 + " ", "[1] link 'a'" + " a:" * 6_000,
     "[1] link 'a' k:" + " w" * 10_000 + " '"],
)  # fmt: skip
def test_long_lines_take_no_longer_than_their_length_asks(line):
    start = time.thread_time()
    parse_line(line)
    assert time.thread_time() - start < 0.1
