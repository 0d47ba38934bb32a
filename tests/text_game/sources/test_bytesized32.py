import gzip
import json
from pathlib import Path

import pytest

from rlvr_world.data.samples import read_members
from rlvr_world.language.manifest import TransitionManifest
from rlvr_world.text_game.data import TextDataModule, load_rules
from rlvr_world.text_game.sources.bytesized32 import bytesized32
from rlvr_world.text_game.transition import Transition

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "bytesized32"


def state(value, heat=0):
    properties = {"value": value, "heat": heat}
    thing = {"name": "dial (ID: 3)", "uuid": 3, "type": "Dial", "properties": properties}
    return {"objects": [thing | {"contains": []}], "max_UUID": 7, "taskDesc": "Turn it."}


def score(points):
    return {"score": points, "gameOver": False, "gameWon": False}


def row(game, value, action):
    """``turn n`` sets the dial to n; with each tick a dial of 5 and more gets hot."""
    after = int(action.split()[1]) if action.startswith("turn") else value
    return {
        "game": game,
        "state_id": 0,
        "current_state": state(value),
        "action_state": state(after) | {"lastAction": action},
        "tick_state": state(after, int(after >= 5)),
        "current_score_state": score(value),
        "next_score_state": score(after + (action == "look hard")),
    }


ACTIONS = [f"turn {n}" for n in range(10)] + ["look", "look hard"]
TRAIN = [row(game, value, a) for game in "abcd" for value in range(10) for a in ACTIONS]
TRAIN += [row("dishwasher", 1, "look")] * 3
TEST = [row(game, value, "turn 3") for game in "ae" for value in (2, 20, 30)]


def write_source(folder, train=TRAIN, test=None, edit=None):
    folder.mkdir(exist_ok=True)
    lines = [json.dumps(r) for r in train]
    for index, line in (edit or {}).items():
        lines[index] = line
    with gzip.open(folder / "train.jsonl.gz", "wt") as file:
        file.write("\n".join(lines) + "\n")
    if test is not None:
        (folder / "test.jsonl").write_text("\n".join(json.dumps(r) for r in test))
    for kind in ("object", "action", "score"):
        texts = {game: f"{kind} 1\n==========\n{kind} 2 of {game}\n" for game in [*"abcd", "z"]}
        (folder / f"{kind}_rules.json").write_text(json.dumps(texts))
    return folder


def transitions(root, split):
    for shard in TransitionManifest.load(root).splits[split].shards:
        for sample in read_members(root / shard.name):
            yield Transition.from_json(json.loads(sample["json"]))


def value_of(side):
    (thing,) = side["objects"]
    return thing["properties"]["value"], thing["properties"]["heat"]


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bytesized32")
    bytesized32(write_source(folder / "source"), folder / "data")
    return folder / "data"


def test_the_four_modes(tmp_path):
    source = write_source(tmp_path / "s", [row("a", 4, "turn 6")])
    bytesized32(source, tmp_path / "d", val_share=0, test_share=0)
    found = {t.mode: t for t in transitions(tmp_path / "d", "train")}
    assert {m: (t.action, value_of(t.state), value_of(t.target)) for m, t in found.items()} == {
        "full": ("turn 6", (4, 0), (6, 1)),
        "action": ("turn 6", (4, 0), (6, 0)),
        "tick": ("", (6, 0), (6, 1)),
        "score": ("turn 6", (6, 1), (6, 1)),
    }
    for mode, transition in found.items():
        expected = (score(4), score(6)) if mode in ("full", "score") else (None, None)
        assert (transition.state["score"], transition.target["score"]) == expected
        assert (transition.game, transition.task, transition.uuid_base) == ("a", "Turn it.", 7)
    assert all(transition.changed for transition in found.values())


def test_each_transition_is_kept_once(converted):
    found = [t for split in ("train", "val", "test") for t in transitions(converted, split)]
    for mode, expected in (("full", 480), ("action", 480), ("tick", 40), ("score", 4 * 112)):
        members = [t for t in found if t.mode == mode]
        unique = {(t.game, json.dumps(t.state), t.action) for t in members}
        assert len(members) == len(unique)
        if mode != "score":
            assert len(members) == expected
    rows = TransitionManifest.load(converted).rows
    assert rows["train_lines"] == 483
    assert rows["example_game"] == 3
    assert rows["broken_lines"] == 0
    assert rows["duplicates"] == 4 * 480 - len(found)
    assert not any(t.game == "dishwasher" for t in found)


def test_no_state_is_in_two_splits_in_any_mode(converted):
    seen = {}
    for split in ("train", "val", "test"):
        found = list(transitions(converted, split))
        assert {t.game for t in found} == set("abcd")
        for transition in found:
            objects = json.dumps([transition.game, transition.state["objects"]])
            assert seen.setdefault(objects, split) == split
    manifest = TransitionManifest.load(converted)
    counts = {s: manifest.splits[s].groups["full"].transitions for s in ("train", "val", "test")}
    assert counts == {"train": 28 * 12, "val": 4 * 12, "test": 8 * 12}


def test_changed_and_unchanged_training_shards(converted):
    manifest = TransitionManifest.load(converted)
    full = manifest.splits["train"].groups["full"]
    changed = [t for t in transitions(converted, "train") if t.mode == "full" and t.changed]
    assert full.changed == len(changed)
    names = [shard.name for shard in manifest.splits["train"].shards if shard.group == "full"]
    assert names == ["train-full-changed-000000.tar", "train-full-unchanged-000000.tar"]
    data = TextDataModule(str(converted), changed_share=1.0, samples_per_epoch=64)
    data.setup("fit")
    drawn = [t for batch in data.train_dataloader() for t in batch["transition"]]
    assert all(t.changed and t.mode == "full" for t in drawn)


def test_splits_by_game(tmp_path):
    source = write_source(tmp_path / "s")
    root = tmp_path / "d"
    bytesized32(source, root, split_by="game", val_share=0.25, test_share=0.25, modes=["full"])
    games = [{t.game for t in transitions(root, split)} for split in ("train", "val", "test")]
    assert [len(found) for found in games] == [2, 1, 1]
    assert set.union(*games) == set("abcd")
    assert load_rules(root).keys() == set("abcd")


def test_a_given_test_file_and_its_leaks(tmp_path):
    source = write_source(tmp_path / "s", test=[*TEST, TEST[0]])
    manifest = bytesized32(source, tmp_path / "d", split_by="file", modes=["full"])
    every = bytesized32(source, tmp_path / "every", split_by="file")
    counts = {mode: c.transitions for mode, c in every.splits["test"].groups.items()}
    assert counts == dict.fromkeys(("full", "action", "tick", "score"), 7)
    assert manifest.rows["leaks"] == {
        "test_transitions": 6,
        "test_transitions_in_train": 1,
        "test_changed": 6,
        "test_changed_in_train": 1,
        "test_states": 6,
        "test_states_in_train": 1,
    }
    test = list(transitions(tmp_path / "d", "test"))
    assert len(test) == 7
    assert manifest.rows["duplicates"] == 0
    assert {(t.game, value_of(t.state)[0]) for t in test} == {
        (g, v) for g in "ae" for v in (2, 20, 30)
    }
    assert manifest.splits["train"].groups["full"].transitions == 36 * 12
    assert manifest.splits["val"].groups["full"].transitions == 4 * 12
    pooled = bytesized32(source, tmp_path / "pooled", modes=["full"])
    assert sum(s.groups["full"].transitions for s in pooled.splits.values()) == 480 + 5
    assert pooled.rows["leaks"] == manifest.rows["leaks"]
    with pytest.raises(FileNotFoundError, match=r"holds neither test.jsonl nor test.jsonl.gz"):
        bytesized32(write_source(tmp_path / "t"), tmp_path / "e", split_by="file")


def test_the_seed_decides(tmp_path, converted):
    source = write_source(tmp_path / "s")
    again = bytesized32(source, tmp_path / "again")
    assert again.fingerprint == TransitionManifest.load(converted).fingerprint
    other = bytesized32(source, tmp_path / "other", seed=1)
    assert other.fingerprint != again.fingerprint


def without(*keys):
    broken = json.loads(json.dumps(TRAIN[0]))
    inner = broken
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]
    return json.dumps(broken)


def with_objects(change):
    broken = json.loads(json.dumps(TRAIN[0]))
    change(broken["tick_state"]["objects"])
    return json.dumps(broken)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"train.jsonl.gz line 2 is not JSON"),
        ("[" * 100_000, r"line 2 is not JSON"),
        ("[]", r"line 2: current_state.objects is missing"),
        (without("game"), r"line 2: game is missing"),
        (without("action_state", "lastAction"), r"line 2: action_state.lastAction is missing"),
        (without("next_score_state", "gameWon"), r"line 2: tick_state: score must hold exactly"),
        (json.dumps(TRAIN[0] | {"game": 3}), r"line 2: game must be of type str, got int"),
        (with_objects(lambda o: o.append(o[0])), r"line 2: tick_state: objects\[1\].uuid is that"),
        (
            with_objects(lambda o: o[0]["properties"].update(heat=float("nan"))),
            r"line 2: tick_state: objects\[0\].properties.heat must be JSON with finite numbers",
        ),
    ],
)
def test_a_broken_line_is_named_and_counted(tmp_path, line, message):
    source = write_source(tmp_path / "s", edit={1: line})
    with pytest.warns(UserWarning, match=rf"1 of 483 samples had to be skipped: .*{message}"):
        manifest = bytesized32(source, tmp_path / "d", modes=["full"])
    assert manifest.rows["broken_lines"] == 1
    assert sum(s.groups["full"].transitions for s in manifest.splits.values()) == 479


def test_too_many_broken_lines_stop_and_leave_nothing(tmp_path):
    source = write_source(tmp_path / "s", edit=dict.fromkeys(range(9), "{"))
    with pytest.raises(ValueError, match=r"9 of 483 samples .* line 1 .*max_skip_share is 0.01"):
        bytesized32(source, tmp_path / "d")
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_file_that_ends_in_the_middle(tmp_path):
    source = write_source(tmp_path / "s")
    path = source / "train.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"train.jsonl.gz cannot be read to its end .*fetch it"):
        bytesized32(source, tmp_path / "d")


def test_rules(tmp_path, converted):
    assert load_rules(converted)["b"] == {
        "objects": "object 1\n\nobject 2 of b",
        "actions": "action 1\n\naction 2 of b",
        "score": "score 1\n\nscore 2 of b",
    }
    source = write_source(tmp_path / "s")
    (source / "action_rules.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"action_rules.json must hold one text for each game"):
        bytesized32(source, tmp_path / "d")
    (source / "action_rules.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"action_rules.json does not exist, but other"):
        bytesized32(source, tmp_path / "d")
    for kind in ("object", "score"):
        (source / f"{kind}_rules.json").unlink()
    bytesized32(source, tmp_path / "d", modes=["full"])
    assert load_rules(tmp_path / "d") == {}


def test_shares_must_leave_something(tmp_path):
    with pytest.raises(ValueError, match=r"val_share 0.5 and test_share 0.5 must"):
        bytesized32(write_source(tmp_path / "s"), tmp_path / "d", val_share=0.5, test_share=0.5)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="needs ByteSized32-State-Prediction")
def test_published_rows(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    with gzip.open(PUBLISHED / "train.jsonl.gz", "rt") as file:
        lines = [next(file) for _ in range(600)]
    (source / "train.jsonl").write_text("".join(lines))
    for path in PUBLISHED.glob("*_rules.json"):
        (source / path.name).write_bytes(path.read_bytes())
    manifest = bytesized32(source, tmp_path / "d")
    rows = [json.loads(line) for line in lines]
    rows = [r for r in rows if r["game"] != "dishwasher"]
    keys = {
        json.dumps([r["game"], r["current_state"]["objects"], r["action_state"]["lastAction"]])
        for r in rows
    }
    modes = [split.groups for split in manifest.splits.values()]
    assert sum(m["full"].transitions for m in modes) == len(keys)
    assert manifest.rows["conflicts"] == 0
    assert manifest.rows["broken_lines"] == 0
    assert load_rules(tmp_path / "d").keys() == {r["game"] for r in rows}
