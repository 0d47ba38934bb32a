"""The rule that an action does what its verb says."""

import json

import pytest
import torch
from text_states import score, thing, transition

from rlvr_world.text_game.accuracy import TextGameAccuracy
from rlvr_world.text_game.transition import diff
from rlvr_world.text_game.verbs import verb_rule

ROOM = thing(1, "room", {"east": "hall (ID: 2)", "eastDoor": "gate (ID: 3)"})
NAMES = ("player (ID: 0)", "box (ID: 4)", "cup (ID: 5)")
GATE = thing(3, "gate", {"isOpen": False, "isLocked": True})
BOX = thing(4, "box", {"isOpen": False}, ("pea (ID: 6)",)) | {"type": "container"}
KEY = thing(7, "key", {"opens": "gate (ID: 3)"})
BEFORE = [
    thing(0, "player", {}, ("key (ID: 7)",)),
    ROOM | {"contains": list(NAMES)},
    thing(2, "hall", {}),
    GATE,
    BOX,
    thing(5, "cup", {}),
    thing(6, "pea", {}),
    KEY,
]


def step(action, *after):
    """The step by an action after which some objects are others."""
    new = {item["uuid"]: item for item in after}
    objects = [new.get(item["uuid"], item) for item in BEFORE]
    return transition(BEFORE, objects, (score(), score()), action=action)


def holding(item, *names):
    return item | {"contains": [*names]}


POSSIBLE = [
    step("open box (ID: 4)", BOX | {"properties": {"isOpen": True}}),
    step("unlock gate (ID: 3) with key (ID: 7)",
         GATE | {"properties": {"isOpen": False, "isLocked": False}}),
    step("take cup (ID: 5)", holding(BEFORE[0], "key (ID: 7)", NAMES[2]),
         holding(ROOM, *NAMES[:2])),
    step("drop key (ID: 7)", holding(BEFORE[0]), holding(ROOM, *NAMES, "key (ID: 7)")),
    step("put key (ID: 7) on cup (ID: 5)", holding(BEFORE[0]),
         holding(BEFORE[5], "key (ID: 7)")),
]  # fmt: skip
IMPOSSIBLE = ("open gate (ID: 3)", "open cup (ID: 5)", "take pea (ID: 6)", "take box (ID: 4)",
              "unlock gate (ID: 3) with cup (ID: 5)", "insert key (ID: 7) into box (ID: 4)",
              "eat cup (ID: 5)", "go east", "go north", "look", "")  # fmt: skip


@pytest.mark.parametrize("form", ["difference", "state"])
def test_the_row_is_right_where_verbs_do_what_they_say(form):
    steps = [*POSSIBLE, *map(step, IMPOSSIBLE)]
    batch = {"key": [each.action for each in steps], "transition": steps}
    row = TextGameAccuracy(form=form).references(batch, steps)["verb_rule"]
    assert row["overall"].tolist() == [100.0] * len(steps)
    assert torch.isnan(row["changed"]).sum() == len(IMPOSSIBLE)


def test_eating_removes_and_an_open_way_moves():
    eaten = json.loads(verb_rule(step("eat key (ID: 7)"), "difference"))
    assert (eaten["removed"], [each["uuid"] for each in eaten["modified"]]) == ([7], [0])
    opened = step("", GATE | {"properties": {"isOpen": True}}).target["objects"]
    walk = transition(opened, opened, (score(), score()), action="go east")
    gone = json.loads(verb_rule(walk, "state"))
    assert [each["uuid"] for each in diff(walk.state, gone)["modified"]] == [1, 2]


def test_a_state_that_makes_no_sense_stays():
    circle = [
        thing(0, "player", {}, ("box (ID: 4)",)),
        thing(4, "box", {"east": 1, "eastDoor": ["a"]}, ("player (ID: 0)", "cup (ID: 5)")),
        thing(5, "cup", {}, ("pea (ID: 6)",)),
        thing(6, "pea", {}, ("cup (ID: 5)",)),
    ]
    for action in ("take pea (ID: 6)", "go east", "go", "put cup (ID: 5) in cup (ID: 5)"):
        odd = transition(circle, circle, (score(), score()), action=action)
        assert json.loads(verb_rule(odd, "difference"))["modified"] == []
