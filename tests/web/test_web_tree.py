import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_steps import CART, page_elements
from stages import ROOT

from rlvr_world.web.changes import content
from rlvr_world.web.tree import Element, line_text, parse_line, parse_tree, tree_text

PAGE = ROOT.parent / "shared/cases/language/web_tree_values.txt"

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
    "[7] link 'a' x: 'b c: d": Element("7", "link", "a", (("x", "'b"), ("c", "d"))),
    "[7] link 'a' valuetext:": Element("7", "link", "a", (("valuetext", ""),)),
}

AS_THEY_ARE = {
    "valuemax: 0 valuetext: ": (("valuemax", "0"), ("valuetext", "")),
    "valuetext:  required: False": (("valuetext", ""), ("required", "False")),
    "valuetext: a  b x:  c ": (("valuetext", "a  b"), ("x", " c ")),
    "valuetext: 12\xa0of 19": (("valuetext", "12\xa0of 19"),),
    "placeholder: 'not closed required: False": (
        ("placeholder", "'not closed"), ("required", "False"),
    ),
    "placeholder: 'closed'": (("placeholder", "'closed'"),),
    "placeholder: Your name: x": (("placeholder", "Your"), ("name", "x")),
    "placeholder: Your name:": (("placeholder", "Your name:"),),
    "roledescription: editor: rich text": (("roledescription", "editor: rich text"),),
    "url: http://a/b?c: d details: [12, 13]": (("url", "http://a/b?c: d"), ("details", "[12, 13]")),
}  # fmt: skip
"""Properties with values as WebArena writes them, raw."""


@pytest.mark.parametrize("line", LINES)
def test_lines_as_webarena_writes_them(line):
    assert parse_line(line) == LINES[line]


@pytest.mark.parametrize("properties", AS_THEY_ARE)
def test_raw_values_are_read_and_written_as_they_are(properties):
    line = f"[7] spinbutton 'Qty' {properties}"
    element = Element("7", "spinbutton", "Qty", AS_THEY_ARE[properties])
    assert parse_line(line) == element
    assert line_text(element) == line


@pytest.mark.skipif(not PAGE.exists(), reason=f"{PAGE} is not at hand")
def test_every_line_of_the_shared_page_comes_back():
    text = PAGE.read_text().rstrip("\n")
    assert tree_text(parse_tree(text)) == text


@pytest.mark.parametrize(
    "line",
    ["", "12] button 'x'", "[12] 'x'", "[12] button x", "[12] button 'x", "[1 2] button 'x'",
     "[] button 'x'", "[1] button 'x' ", "[1] button 'x' checked", "[1] button 'x' checked:",
     " [1] button 'x'", "[1] button 'it's'", "[1] button 'x' a:b", "[1] button 'x'  a: b"],
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


raw_values = st.lists(st.sampled_from([*"ab'\" :\\[]é\xa0", "x: ", " x: "]), max_size=9).map(
    "".join
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["value", "x", "valuetext"]), raw_values), max_size=3))
def test_every_raw_value_is_read_and_kept(pairs):
    line = "".join(["[1] link 'a'", *(f" {key}: {value}" for key, value in pairs)])
    element = parse_line(line)
    again = parse_line(line_text(element))
    assert again == element
    assert content(parse_line(line_text(element).rstrip())) == content(element)
    if not {"'", '"'} & set(line[12:]) and line == line.rstrip(": \xa0"):
        assert line_text(element) == line


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
