from collections import Counter
from itertools import permutations

import pytest
from hypothesis import given, settings
from page_steps import CART, SAME, page_elements, similar_elements

from rlvr_world.web.changes import Changes, apply, content, extract, match
from rlvr_world.web.page import WebTransition
from rlvr_world.web.tree import Element, line_text, parse_tree


def lines(changes):
    return [[line_text(item) for item in items] for items in changes]


def shown(elements):
    return Counter(map(content, elements))


def test_a_cart_by_hand():
    assert lines(CART.changes) == [
        ["[9] alert 'Added' live: polite"],
        ["[5] link 'Empty cart'"],
        ["[3] button 'Add' focused: true", "[4] StaticText '2 cups'"],
    ]
    assert CART.changed
    assert CART.changes.total == 4


def test_nothing_changes_when_elements_only_move_or_have_properties_in_another_order():
    before = parse_tree("[1] link 'a' x: 1 y: 2\n\t[2] link 'b'")
    after = parse_tree("[2] link 'b'\n[1] link 'a' y: 2 x: 1")
    assert extract(before, after) == Changes()
    assert not SAME.changed


def test_new_ids_are_no_change():
    before = parse_tree("[1] link 'a'\n[2] link 'a'\n[3] button 'c'")
    after = parse_tree("[11] link 'a'\n[12] link 'a'\n[13] button 'c'")
    assert extract(before, after) == Changes()
    assert sorted(match(before, after)) == [(0, 0), (1, 1), (2, 2)]


def test_an_id_goes_before_looks():
    before = parse_tree("[1] link 'a'\n[2] link 'b'")
    after = parse_tree("[2] link 'a'\n[1] link 'b'")
    assert lines(extract(before, after)) == [[], [], ["[1] link 'b'", "[2] link 'a'"]]


def test_an_id_with_another_role_is_another_element():
    changes = extract(parse_tree("[1] link 'a'"), parse_tree("[1] button 'a'"))
    assert lines(changes) == [["[1] button 'a'"], ["[1] link 'a'"], []]


def test_what_looks_alike_is_updated_under_its_old_id():
    before = parse_tree("[1] link 'Cart 0 items'\n[2] link 'Home'\n[3] link 'Log in now'")
    after = parse_tree("[11] link 'Contact'\n[12] link 'Log out now'\n[13] link 'Cart 3 items'")
    assert lines(extract(before, after)) == [
        ["[11] link 'Contact'"],
        ["[2] link 'Home'"],
        ["[1] link 'Cart 3 items'", "[3] link 'Log out now'"],
    ]


def test_the_assignment_costs_least_of_all():
    before = parse_tree("[1] p 'a b c d'\n[2] p 'a b c x'\n[3] p 'a q c x'")
    after = parse_tree("[4] p 'a b c x y'\n[5] p 'a b c e'\n[6] p 'a q r x'")

    def words(old, new):
        one, two = ({*e.name.split(), (e.name,)} for e in (old, new))
        return 1 - len(one & two) / len(one | two)

    def cost(order):
        pairs = enumerate(order)
        return sum(0.6 * words(before[i], after[j]) + 0.1 * abs(i - j) / 3 for i, j in pairs)

    best = min(permutations(range(3)), key=cost)
    assert sorted(match(before, after)) == list(enumerate(best))


@settings(max_examples=300, deadline=None)
@given(similar_elements, similar_elements)
def test_changes_lead_to_the_next_page(before, after):
    changes = extract(before, after)
    assert shown(apply(before, changes)) == shown(after)
    assert len({item.id for item in changes.deleted}) == len(changes.deleted)
    assert {item.id for item in changes.deleted + changes.updated} <= {e.id for e in before}
    pairs = match(before, after)
    assert all(before[i].role == after[j].role for i, j in pairs)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert (changes.total == 0) == (shown(before) == shown(after) and not _swapped(before, after))


def _swapped(before, after):
    """Whether an element keeps its id and role, but not what it shows."""
    old = {(e.id, e.role): content(e) for e in before}
    return any(old.get((e.id, e.role), content(e)) != content(e) for e in after)


@settings(max_examples=200, deadline=None)
@given(page_elements, page_elements)
def test_any_pages_lead_to_one_another(before, after):
    assert shown(apply(before, extract(before, after))) == shown(after)
    assert extract(before, before) == Changes()


def test_updated_elements_stay_where_they_are():
    changes = CART.changes
    updated = tuple(item._replace(depth=0) for item in changes.updated)
    page = apply(CART.elements, changes._replace(updated=updated))
    assert [(element.id, element.depth) for element in page] == [
        ("1", 0), ("2", 1), ("3", 1), ("4", 1), ("9", 1)
    ]  # fmt: skip


def test_unknown_ids_do_nothing():
    (element,) = before = parse_tree("[1] link 'a'")
    changes = Changes((), (Element("8", "", ""),), (element._replace(id="9", name="b"),))
    assert apply(before, changes) == before


def test_a_transition_as_json_comes_back():
    assert WebTransition.from_json(CART.to_json() | {"more": 1}) == CART


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "a.tar: k: a transition must be a JSON object, got list"),
        ({"task": None}, "a.tar: k: task must be of type str, got NoneType"),
        ({"tree": "x"}, r"a.tar: k: tree: line 1 is not"),
        (
            {"next_tree": "[1] a ''\n[1] a ''"},
            "k: next_tree: line 2: the id 1 stands twice",
        ),
    ],
)
def test_what_is_no_transition_is_named(document, message):
    if isinstance(document, dict):
        document = CART.to_json() | document
    with pytest.raises(ValueError, match=message):
        WebTransition.from_json(document, "a.tar: k")


def test_a_missing_key_is_named():
    document = CART.to_json()
    del document["url"]
    with pytest.raises(ValueError, match="transition: the key url is missing"):
        WebTransition.from_json(document)
