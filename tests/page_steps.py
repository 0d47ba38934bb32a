"""Steps on small web pages: a shop's page by hand, a toy page of boxes, and random pages."""

from hypothesis import strategies as st

from rlvr_world.language.recorded import recording
from rlvr_world.web.page import WebTransition
from rlvr_world.web.tree import Element


def page_step(tree, next_tree, action="click [3]", **changes):
    given = {
        "site": "shop", "task": "cart", "url": "http://shop/cart", "objective": "Buy a cup.",
        "previous_action": "", "next_url": "http://shop/cart",
    }  # fmt: skip
    return WebTransition(**given | changes, action=action, tree=tree, next_tree=next_tree)


CART = page_step(
    """[1] RootWebArea 'Cart' focused: true
\t[2] heading 'Your cart'
\t[3] button 'Add'
\t[4] StaticText '1 cup'
\t[5] link 'Empty cart'""",
    """[1] RootWebArea 'Cart' focused: true
\t[9] alert 'Added' live: polite
\t[2] heading 'Your cart'
\t[3] button 'Add' focused: true
\t[4] StaticText '2 cups'""",
)
"""One element comes, one goes, two change."""

SAME = page_step(CART.tree, CART.tree, "hover [2]")


def boxes(on, note=False):
    """A page of four boxes, ticked as the bits of ``on`` say."""
    lines = [f"[{i}] checkbox 'box {i}' checked: {bool(on >> i & 1)}" for i in range(4)]
    return "\n".join([*lines, *(["[4] alert 'changed'"] if note else [])])


def tick(on, action, task="boxes"):
    """A step from the boxes numbered ``on``; ``click [i]`` changes them, all else does not."""
    verb, _, box = action.partition(" ")
    after = on ^ (1 << int(box[1:-1])) if verb == "click" else on
    return WebTransition(
        "toy", task, "http://toy", "Tick all.", "", action, boxes(on), "http://toy",
        boxes(after, after != on),
    )  # fmt: skip


def write_pages(root, splits, seed=0):
    """A folder as the recorders write it, from lists of transitions by split."""
    with recording(root) as spool:
        for split, transitions in splits.items():
            for transition in transitions:
                spool.add(transition, split, scope=split)
        return spool.finish(lambda entry: entry.unit, seed, source="toy", settings={}, rows={})


odd_texts = ["it's", 'say "x"', "two\nlines", "a b: c", "key:", " ", "[3] x", "\\", "\\n"]
any_text = st.text(max_size=12) | st.sampled_from([*odd_texts, "\ud800", "\u2028"])
keys = st.sampled_from(["checked", "focused", "x-y", "é1"])
elements = st.builds(
    Element,
    id=st.sampled_from([*map(str, range(30)), "n1", "é", "'"]),
    role=st.sampled_from(["button", "link", "StaticText", "'", "]"]),
    name=any_text,
    properties=st.lists(st.tuples(keys, any_text), max_size=3).map(tuple),
    depth=st.integers(0, 3),
)
page_elements = st.lists(elements, max_size=12, unique_by=lambda element: element.id)

few = st.builds(
    Element,
    id=st.integers(0, 12).map(str),
    role=st.sampled_from(["button", "link"]),
    name=st.sampled_from(["", "a", "b", "a b", "a c d"]),
    properties=st.sampled_from([(), (("checked", "1"),), (("checked", "2"), ("x", "1"))]),
    depth=st.just(0),
)
similar_elements = st.lists(few, max_size=10, unique_by=lambda element: element.id)
"""Pages of which two are likely to share ids, roles, names and properties."""
