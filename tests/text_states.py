"""Small states of text games, hand-made and random."""

import copy
import json

from hypothesis import strategies as st

from rlvr_world.text_game.game_state import GameState
from rlvr_world.text_game.transition import Transition


def thing(uuid: int, name: str, properties: dict, contains: tuple = ()) -> dict:
    return {
        "name": f"{name} (ID: {uuid})",
        "uuid": uuid,
        "type": name.title(),
        "properties": properties,
        "contains": list(contains),
    }


def score(points: float = 0, over: bool = False, won: bool = False) -> dict:
    return {"score": points, "gameOver": over, "gameWon": won}


def transition(before: list, after: list, scores: tuple, **changes) -> Transition:
    """A step from the one list of objects and score to the other."""
    given = {"game": "toy", "mode": "full", "action": "wait", "uuid_base": 9, "task": "Play."}
    state, target = (
        {"objects": o, "score": s} for o, s in zip((before, after), scores, strict=True)
    )
    return Transition(state=state, target=target, **(given | changes))


LAMP = transition(
    [
        thing(1, "lamp", {"isOn": False, "level": 1, "tags": ["a", "b"]}, ("bulb (ID: 2)",)),
        thing(2, "bulb", {"isHot": False, "owner": None}),
    ],
    [
        thing(1, "lamp", {"isOn": True, "level": 1, "tags": ["a", "b"]}, ("bulb (ID: 2)",)),
        thing(2, "bulb", {"isHot": True, "owner": None}),
    ],
    (score(), score(1)),
)
"""Two properties and the score change."""

TABLE = transition(
    [
        thing(1, "table", {"stage": 0, "isOpen": False}, ("cup (ID: 2)", "apple (ID: 3)")),
        thing(2, "cup", {"isDirty": True}),
        thing(3, "apple", {"isEaten": False, "colors": ["red", "green"], "at": {"x": 1}}),
    ],
    [
        thing(1, "table", {"stage": 1, "isOpen": False}, ("cup (ID: 2)", "core (ID: 4)")),
        thing(2, "cup", {"isDirty": True}),
        thing(4, "core", {"isEaten": True}),
    ],
    (score(), score(1)),
)
"""A property, a ``contains`` and the score change; an object goes, another comes."""

NOTHING = {"modified": [], "removed": [], "score": {}}


def edited(answer: dict, edit) -> str:
    """The JSON of an answer after an edit in place of a copy."""
    answer = copy.deepcopy(answer)
    edit(answer)
    return json.dumps(answer)


def canonical(state: GameState) -> str:
    """A text that is the same for equal states; independent of the package."""
    objects = sorted(state["objects"], key=lambda item: item["uuid"])
    objects = [item | {"contains": sorted(item["contains"])} for item in objects]
    return json.dumps({"objects": objects, "score": state["score"]}, sort_keys=True)


words = st.sampled_from(["a", "b", "cup", "True", "None", "é", 'quo"te', ""])
values = st.recursive(
    st.none() | st.booleans() | st.sampled_from([0, 1, 2, 0.5]) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)
objects = st.lists(
    st.fixed_dictionaries(
        {
            "name": words,
            "uuid": st.integers(0, 5),
            "type": words,
            "properties": st.dictionaries(words, values, max_size=3),
            "contains": st.lists(words, max_size=3),
        }
    ),
    max_size=4,
    unique_by=lambda item: item["uuid"],
)
scores = st.builds(score, st.integers(-1, 1), st.booleans(), st.booleans())
states = st.fixed_dictionaries({"objects": objects, "score": scores})
