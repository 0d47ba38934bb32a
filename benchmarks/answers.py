"""Steps of text games of ByteSized32's size, and answers to them: right, wrong, broken and slow."""

import copy
import json
import random
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from rlvr_world.text_game.answer import PHRASES
from rlvr_world.text_game.game_state import GameObject
from rlvr_world.text_game.sources.bytesized32_rows import read_rows
from rlvr_world.text_game.transition import Transition

OBJECTS, PROPERTIES, CHANGED = 8, 8, 2
"""Of a generated step; medians of the published test file."""

GROUP = 5
"""Answers to each step, as in the paper's runs: two right, two wrong, one broken."""


def generated(count: int) -> list[Transition]:
    """Random steps whose states have about 2,000 characters."""
    rng = random.Random(0)
    return [step(rng, number) for number in range(count)]


def step(rng: random.Random, number: int) -> Transition:
    """A random step that changes two properties and nothing else."""
    objects = [thing(rng, uuid) for uuid in range(OBJECTS)]
    after = copy.deepcopy(objects)
    for item in rng.sample(after, CHANGED):
        item["properties"]["isOpen"] = not item["properties"]["isOpen"]
    score = {"score": 0, "gameOver": False, "gameWon": False}
    state, target = ({"objects": o, "score": score} for o in (objects, after))
    return Transition(f"game {number}", "full", "wait", state, target, OBJECTS, "Open the boxes.")


def thing(rng: random.Random, uuid: int) -> GameObject:
    """A box with properties of different types."""
    values = [rng.random() < 0.5, rng.randrange(100), "boxes", None, rng.random() < 0.5]
    properties = {f"property{i}": values[i % len(values)] for i in range(PROPERTIES - 1)}
    return {
        "name": f"wooden box (ID: {uuid})",
        "uuid": uuid,
        "type": "Container",
        "properties": {"isOpen": rng.random() < 0.5} | properties,
        "contains": [],
    }


def published(path: Path, count: int) -> list[Transition]:
    """Steps of a published file, evenly spread over it."""
    rows = list(read_rows(path, 0.01, Counter()))
    return [row.transition("full") for row in islice(rows, 0, None, max(1, len(rows) // count))]


def answers(transition: Transition) -> Iterator[str]:
    """The answers of a group, all of them different texts."""
    right = json.dumps(transition.difference)
    nothing = json.dumps({"modified": [], "removed": [], "score": {}})
    kinds = (right, right, nothing, json.dumps(one_property_wrong(transition)), right[:-2])
    for number, answer in enumerate(kinds):
        yield f"{number + 1} of these change. {PHRASES[0]} {answer}"


def one_property_wrong(transition: Transition) -> dict:
    """The right answer, but for one property that no object has."""
    answer = copy.deepcopy(transition.difference)
    if not answer["modified"]:
        gone = set(answer["removed"])
        kept = (item for item in transition.state["objects"] if item["uuid"] not in gone)
        answer["modified"] = [copy.deepcopy(next(kept))]
    answer["modified"][0]["properties"]["invented"] = True
    return answer


def slow_answers(characters: int) -> list[str]:
    """Answers of about so many characters that are made to take long."""
    box = json.dumps(thing(random.Random(0), 0))
    boxes = [box.replace('"uuid": 0', f'"uuid": {n}') for n in range(characters // len(box))]
    pieces = (
        ('{"modified":', "["),
        ('{"modified":[],"removed":[', "9"),
        ('{"modified":[],"removed":[', "1,"),
        ('{"modified":[],"removed":[1e', "9"),
        ('{"modified":[', '{"uuid":1,'),
        ("{", '"key":1,'),
        ("", '{"'),
        ("The ", f"{PHRASES[0]} "),
        ("```json", "``` ```json"),
        ('{"removed":"', "\\u00e9"),
    )
    texts = [start + piece * (characters // len(piece)) for start, piece in pieces]
    return [*texts, f'{{"modified":[{",".join(boxes)}],"removed":[],"score":{{}}}}']
