"""A toy text game: lamps in a row, of which each action switches one or none."""

from rlvr_world.language.recorded import recording
from rlvr_world.text_game.transition import Transition


def lamps(on, score=True):
    objects = [
        {
            "name": f"lamp (ID: {i})",
            "uuid": i,
            "type": "lamp",
            "properties": {"isOn": bool(on >> i & 1)},
            "contains": [],
        }
        for i in range(10)
    ]
    known = {"score": 0, "gameOver": False, "gameWon": False}
    return {"objects": objects, "score": known if score else None}


def step(on, action, game="lamps", mode="full"):
    """A transition from the state numbered ``on``; ``switch i`` changes it, all else does not."""
    verb, _, number = action.partition(" ")
    after = on ^ (1 << int(number)) if verb == "switch" else on
    score = mode not in ("action", "tick")
    return Transition(game, mode, action, lamps(on, score), lamps(after, score), 10, "Light it.")


def write_root(root, splits, rules=None, seed=0):
    """A folder as the recorders write it, from lists of transitions by split."""
    if rules is None:
        rules = {"lamps": {"objects": "o", "actions": "a", "score": "s"}}
    with recording(root) as spool:
        for split, transitions in splits.items():
            for transition in transitions:
                spool.add(transition, split, scope=split)
        return spool.finish(
            lambda entry: entry.unit, seed, source="toy", settings={}, rows={},
            documents={"rules.json": rules},
        )  # fmt: skip
