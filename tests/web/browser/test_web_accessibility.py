"""From DevTools' nodes to elements, and the ids of elements over an episode."""

import pytest

from rlvr_world.web.browser.accessibility import (
    LONGEST_NAME,
    MOST_ELEMENTS,
    Node,
    Numbering,
    shown_nodes,
)
from rlvr_world.web.browser.chromium import is_allowed, origin_of
from rlvr_world.web.sites.site import AnySite
from rlvr_world.web.tree import Element, tree_text


def tree(*rows):
    """Nodes as DevTools give them, from (depth, role, name, fields)."""
    nodes, stack = [], []
    for number, (depth, role, name, *rest) in enumerate(rows):
        fields = rest[0] if rest else {}
        properties = [{"name": k, "value": {"value": v}} for k, v in fields.items()]
        node = {
            "nodeId": str(number),
            "backendDOMNodeId": fields.get("dom", 100 + number),
            "ignored": fields.get("ignored", False),
            "role": {"value": role},
            "name": {"value": name},
            "properties": [p for p in properties if p["name"] not in ("value", "ignored", "dom")],
            "childIds": [],
        }
        if "value" in fields:
            node["value"] = {"value": fields["value"]}
        del stack[depth:]
        if stack:
            stack[-1]["childIds"].append(node["nodeId"])
        stack.append(node)
        nodes.append(node)
    return nodes


def text(*rows):
    return tree_text(Numbering().elements(shown_nodes(tree(*rows), "page")))


def test_what_is_shown():
    found = text(
        (0, "RootWebArea", "Shop", {"focused": True}),
        (1, "none", "", {"ignored": True}),
        (2, "generic", ""),
        (3, "heading", "Red  shoes\n", {"level": 2}),
        (4, "StaticText", "Red shoes"),
        (5, "InlineTextBox", "Red shoes"),
        (3, "paragraph", ""),
        (4, "StaticText", "Shop"),
        (3, "image", ""),
        (3, "link", "Cart 3"),
        (4, "StaticText", "Cart"),
        (4, "image", "3"),
        (4, "image", "a bag"),
    )
    assert found == "\n".join(
        [
            "[1] RootWebArea 'Shop'",
            "\t[2] heading 'Red shoes'",
            "\t[3] StaticText 'Shop'",
            "\t[4] image ''",
            "\t[5] link 'Cart 3'",
            "\t\t[6] image 'a bag'",
        ]
    )


def test_properties():
    found = text(
        (0, "RootWebArea", ""),
        (1, "textbox", "Name", {"value": "Ann", "focused": True, "required": True, "level": 3}),
        (2, "StaticText", "Ann"),
        (1, "checkbox", "A", {"checked": "false", "focused": False, "invalid": "false"}),
        (1, "button", "B", {"disabled": True, "expanded": False, "hasPopup": "menu"}),
        (1, "spinbutton", "C", {"value": 24.989999771118164}),
        (1, "option", "D", {"selected": True}),
    )
    assert found == "\n".join(
        [
            "[1] RootWebArea ''",
            "\t[2] textbox 'Name' value: Ann required: true focused: true",
            "\t[3] checkbox 'A' checked: false",
            "\t[4] button 'B' expanded: false disabled: true",
            "\t[5] spinbutton 'C' value: 24.99",
            "\t[6] option 'D' selected: true",
        ]
    )


def test_a_tree_of_any_size_is_cut():
    rows = [(depth, "button", "x" * 5000) for depth in range(3000)]
    nodes = shown_nodes(tree((0, "RootWebArea", ""), *((d + 1, r, n) for d, r, n in rows)), "page")
    assert len(nodes) == MOST_ELEMENTS
    assert max(len(node.name) for node in nodes) == LONGEST_NAME
    assert shown_nodes([], "page") == []


def test_a_tree_that_is_none_ends():
    nodes = tree((0, "RootWebArea", ""), (1, "button", "a"))
    nodes[1]["childIds"] = ["0", "1", "nowhere"]
    assert len(shown_nodes(nodes, "page")) == 2


def node(dom, name, path=("RootWebArea",), role="button", document="page"):
    return Node((document, dom), path, role, name, ())


def ids(numbering, *nodes):
    return [element.id for element in numbering.elements(nodes)]


def test_ids_stay_with_the_dom_node():
    numbering = Numbering()
    assert ids(numbering, node(7, "a"), node(8, "b")) == ["1", "2"]
    assert ids(numbering, node(8, "b2"), node(9, "c"), node(7, "a")) == ["2", "3", "1"]
    assert ids(numbering, node(9, "c")) == ["3"]
    assert ids(numbering, node(8, "b3"), node(10, "d")) == ["2", "4"]
    assert numbering.keys == {"2": ("page", 8), "4": ("page", 10)}


def test_a_page_drawn_anew_keeps_what_looks_the_same():
    numbering = Numbering()
    root = node(1, "Home", path=(), role="RootWebArea")
    link, other, twice = node(2, "Cart"), node(3, "Old"), [node(4, "Add"), node(5, "Add")]
    assert ids(numbering, root, link, other, *twice) == ["1", "2", "3", "4", "5"]
    again = [
        node(1, "Shop", path=(), role="RootWebArea", document="next"),
        node(2, "New", document="next"),
        node(3, "Add", document="next"),
        node(4, "Cart", path=("RootWebArea", "menu"), document="next"),
        node(5, "Cart", document="next"),
    ]
    assert ids(numbering, *again) == ["1", "6", "4", "7", "2"]


def test_an_id_is_never_given_twice_on_a_page():
    numbering = Numbering()
    assert ids(numbering, node(0, "a"), node(0, "a"), node(5, "b")) == ["1", "2", "3"]
    assert ids(numbering, node(6, "b")) == ["3"]
    assert ids(numbering, node(5, "b"), node(6, "b")) == ["3", "4"]


def test_elements_know_their_depth():
    (element,) = Numbering().elements([node(1, "a", path=("RootWebArea", "link"))])
    assert element == Element("1", "button", "a", (), 2)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://127.0.0.1:8000/a?b#c", "http://127.0.0.1:8000"),
        ("https://Example.org", "https://example.org:443"),
        ("http://[::1]:80/", "http://[::1]:80"),
        ("http://127.0.0.1:8000@evil.example/", ""),
        ("http://evil.example\\@127.0.0.1:8000/", ""),
        ("http://127.0.0.1:port/", ""),
        ("file:///etc/passwd", ""),
        ("javascript:alert(1)", ""),
        ("data:text/html,hello", ""),
        ("//127.0.0.1:8000/", ""),
        ("", ""),
    ],
)
def test_origins(url, origin):
    assert origin_of(url) == origin
    assert is_allowed(url, ["http://127.0.0.1:8000"]) == (origin == "http://127.0.0.1:8000")


@pytest.mark.parametrize("url", ["", "example.org", "file:///tmp/page.html"])
def test_a_site_needs_an_address_of_the_web(url):
    with pytest.raises(ValueError, match="must be an address such as"):
        AnySite(url)
