import json
import os
import subprocess
import sys
import textwrap
from collections import Counter

import pytest

pytest.importorskip("textworld")

from rlvr_world.data.samples import read_members
from rlvr_world.language.manifest import TransitionManifest
from rlvr_world.text_game.data import load_rules
from rlvr_world.text_game.sources.textworld import Games, TextWorldRecorder
from rlvr_world.text_game.sources.textworld_game import Size, TextGame
from rlvr_world.text_game.transition import Transition

SMALL = {"games": Games(train=5, val=1, test=1), "steps": 40, "processes": 1}


def contents(root):
    return {path.name: path.read_bytes() for path in sorted(root.iterdir())}


def transitions(root, split):
    for shard in TransitionManifest.load(root).splits[split].shards:
        for sample in read_members(root / shard.name):
            yield Transition.from_json(json.loads(sample["json"]))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    root = tmp_path_factory.mktemp("textworld") / "data"
    TextWorldRecorder(str(root), **SMALL).record()
    return root


class World:
    """The rules of ``textworld_game.ACTION_RULES`` written down a second time, over the JSON."""

    def __init__(self, state):
        self.objects = {o["name"]: json.loads(json.dumps(o)) for o in state["objects"]}
        self.player = next(o for o in self.objects.values() if o["type"] == "player")
        self.room = self.place(self.player["name"])
        here = self.room["properties"]
        self.doors = {side: here.get(f"{side}Door") for side in here if not side.endswith("Door")}
        inside = [self.objects[n] for n in self.room["contains"] + self.player["contains"]]
        self.reach = {o["name"] for o in inside} | set(filter(None, self.doors.values()))

    def place(self, name):
        return next((o for o in self.objects.values() if name in o["contains"]), None)

    def move(self, name, target):
        self.place(name)["contains"].remove(name)
        target["contains"].append(name)

    def do(self, action):
        verb, _, rest = action.partition(" ")
        words = rest
        for preposition in (" with ", " from ", " into ", " on "):
            words = words.replace(preposition, "|")
        getattr(self, f"do_{verb}", lambda *_: None)(*words.split("|"))
        return sorted(self.objects.values(), key=lambda o: o["uuid"])

    def do_go(self, side):
        there, door = self.room["properties"].get(side), self.doors.get(side)
        if there and (door is None or self.objects[door]["properties"]["isOpen"]):
            self.move(self.player["name"], self.objects[there])

    def switch(self, name, before, after, key=None):
        thing = self.objects[name]
        fits = key is None or (
            key in self.player["contains"] and self.objects[key]["properties"].get("opens") == name
        )
        if name in self.reach and thing["type"] in ("door", "container") and fits:
            states = ("isOpen", "isLocked")
            if tuple(thing["properties"][s] for s in states) == before:
                thing["properties"] = dict(zip(states, after, strict=True))

    def do_open(self, name):
        self.switch(name, (False, False), (True, False))

    def do_close(self, name):
        self.switch(name, (True, False), (False, False))

    def do_unlock(self, name, key):
        self.switch(name, (False, True), (False, False), key)

    def do_lock(self, name, key):
        self.switch(name, (False, False), (False, True), key)

    def do_take(self, name, source=None):
        if source is None:
            can = name in self.room["contains"]
        else:
            holder = self.objects[source]
            can = source in self.reach and name in holder["contains"]
            can = can and holder["properties"].get("isOpen", True)
        if can and self.objects[name]["type"] in ("thing", "key", "food"):
            self.move(name, self.player)

    def do_drop(self, name):
        if name in self.player["contains"]:
            self.move(name, self.room)

    def do_insert(self, name, target):
        holder = self.objects[target]
        can = name in self.player["contains"] and target in self.reach
        if can and holder["properties"].get("isOpen"):
            self.move(name, holder)

    def do_put(self, name, target):
        if name in self.player["contains"] and target in self.reach:
            self.move(name, self.objects[target])

    def do_eat(self, name):
        if name in self.player["contains"] and self.objects[name]["type"] == "food":
            self.player["contains"].remove(name)
            del self.objects[name]


@pytest.mark.parametrize("split", ["train", "val", "test", "test_verbs"])
def test_every_transition_follows_from_the_rules_in_words(recorded, split):
    seen = 0
    for transition in transitions(recorded, split):
        seen += 1
        expected = World(transition.state).do(transition.action)
        found = [o | {"contains": sorted(o["contains"])} for o in transition.target["objects"]]
        expected = [o | {"contains": sorted(o["contains"])} for o in expected]
        assert found == expected, transition.action
        assert transition.uuid_base > max(o["uuid"] for o in transition.state["objects"])
    assert seen == sum(
        c.transitions for c in TransitionManifest.load(recorded).splits[split].groups.values()
    )


def test_splits_are_by_game_and_by_verb(recorded):
    games, verbs = {}, {}
    for split in ("train", "val", "test", "test_verbs"):
        found = list(transitions(recorded, split))
        games[split] = {transition.game for transition in found}
        verbs[split] = {transition.action.split()[0] for transition in found}
    assert not games["train"] & games["val"]
    assert not (games["train"] | games["val"]) & games["test"]
    assert games["test_verbs"] <= games["train"]
    assert [len(games[s]) for s in ("train", "val", "test")] == [5, 1, 1]
    assert verbs["test_verbs"] == {"insert", "unlock"}
    assert verbs["train"] == {
        "close", "drop", "eat", "examine", "go", "inventory", "lock", "look", "open", "put", "take"
    }  # fmt: skip
    assert not (verbs["val"] | verbs["test"]) & verbs["test_verbs"]


def test_what_the_data_is_like(recorded):
    found = list(transitions(recorded, "train"))
    assert len({(t.game, json.dumps(t.state), t.action) for t in found}) == len(found)
    assert 0.4 < sum(t.changed for t in found) / len(found) < 0.65
    by_verb = Counter((t.action.split()[0], t.changed) for t in found)
    for verb in ("close", "drop", "go", "open", "take"):
        assert by_verb[verb, True] > 1, verb
        assert by_verb[verb, False] > 1, verb
    assert any(t.target["score"] == {"score": 1, "gameOver": True, "gameWon": True} for t in found)
    assert any(t.difference["removed"] for t in found)
    for transition in found:
        names = {o["uuid"]: o["name"] for o in transition.state["objects"]}
        assert names.items() >= {o["uuid"]: o["name"] for o in transition.target["objects"]}.items()
        assert not transition.state["score"]["gameOver"]
        assert transition.state["score"]["score"] == 0
    rules = load_rules(recorded)
    assert rules.keys() >= {transition.game for transition in found}
    goals = {t.game: t.task.removeprefix("Your task is to make sure that ") for t in found}
    assert all(goals[game].removesuffix(".") in rules[game]["score"] for game in goals)


def test_the_manifest_counts_the_actions(recorded):
    manifest = TransitionManifest.load(recorded)
    kept = sum(c.transitions for s in manifest.splits.values() for c in s.groups.values())
    rows = manifest.rows
    assert (
        rows["actions"]
        == 7 * 40
        == kept + rows["duplicates"] + rows["held_out_verbs_in_unseen_games"]
    )
    assert rows["conflicts"] == 0
    assert manifest.settings["held_out_verbs"] == ["insert", "unlock"]


SCRIPT = """
import sys
from rlvr_world.text_game.sources.textworld import Games, TextWorldRecorder
if __name__ == "__main__":
    games = Games(train=5, val=1, test=1)
    TextWorldRecorder(sys.argv[1], games=games, steps=40, processes=2).record()
"""


@pytest.mark.slow
def test_same_seed_same_bytes_in_another_process(recorded, tmp_path):
    script = tmp_path / "record.py"
    script.write_text(textwrap.dedent(SCRIPT))
    root = tmp_path / "data"
    environment = os.environ | {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, str(script), str(root)], check=True, timeout=200, env=environment
    )
    assert contents(root) == contents(recorded)


def test_other_settings_in_the_same_folder(recorded):
    before = contents(recorded)
    with pytest.raises(ValueError, match=r"was made with steps 40, not 5: use another folder"):
        TextWorldRecorder(str(recorded), **SMALL | {"steps": 5}).record()
    again = TextWorldRecorder(str(recorded), **SMALL).record()
    assert again == TransitionManifest.load(recorded)
    assert contents(recorded) == before
    (recorded.parent / "other").mkdir()
    (recorded.parent / "other" / "note.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"other holds files but no manifest.json"):
        TextWorldRecorder(str(recorded.parent / "other"), **SMALL).record()


def test_nothing_is_left_of_a_recording_that_fails(tmp_path, monkeypatch):
    def power_cut(*_):
        raise RuntimeError("power cut")

    monkeypatch.setattr("rlvr_world.language.recorded.write_shard", power_cut)
    with pytest.raises(RuntimeError, match="power cut"):
        TextWorldRecorder(str(tmp_path / "data"), Games(1, 0, 0), steps=2, processes=1).record()
    assert not any(tmp_path.iterdir())


def test_sizes():
    rooms = [sum(t == "room" for t in TextGame(3, Size(rooms=n)).types.values()) for n in (2, 5)]
    assert rooms == [2, 5]
    small, large = (TextGame(5, Size(objects=n)) for n in (4, 12))
    fixed = ("room", "door", "player")
    assert sum(t not in fixed for t in large.types.values()) == 12
    lengths = [len(json.dumps(g.state(g.game.world.state.facts))) for g in (small, large)]
    assert lengths[0] < lengths[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"size": Size(quest_length=0)}, "size.quest_length must be at least 1, got 0"),
        ({"size": Size(rooms=1)}, "size.rooms must be from 2 to 5, got 1"),
        ({"changed_share": 1.5}, "changed_share must be from 0 to 1, got 1.5"),
        ({"held_out_verbs": ["fly"]}, "held_out_verbs: fly is none of close, drop"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TextWorldRecorder("x", **arguments)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "textworld", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rlvr-world\[textworld\]'"):
        TextWorldRecorder(str(tmp_path / "data")).record()
    assert not any(tmp_path.iterdir())
