import random

from text_states import score, thing, transition

from rlvr_world.text_game.retelling import name_words, renamed, renumbered, vocabulary

STEP = transition(
    [
        thing(0, "player", {}) | {"type": "player"},
        thing(1, "red box", {"isOpen": True}, ("red key (ID: 2)", "pie (ID: 3)")),
        thing(2, "red key", {"opens": "red box (ID: 1)"}),
        thing(3, "pie", {}),
    ],
    [
        thing(0, "player", {}, ("red key (ID: 2)",)) | {"type": "player"},
        thing(1, "red box", {"isOpen": True}, ("pie (ID: 3)",)),
        thing(2, "red key", {"opens": "red box (ID: 1)"}),
        thing(3, "pie", {}),
    ],
    (score(), score()),
    action="take red key (ID: 2) from red box (ID: 1)",
    task="Get the red key (ID: 2).",
)
WORDS = ("hat", "ivy", "jug", "keg", "lid")


def test_the_words_are_those_of_names_that_are_no_types():
    assert name_words(STEP.state) == {"red", "box", "key", "pie"}
    assert vocabulary([STEP.state]) == ("box", "key", "pie", "red")


def test_a_renamed_step_is_the_same_step_with_other_words():
    other = renamed(STEP, WORDS, random.Random(0))
    player, box, key, pie = (item["name"] for item in other.state["objects"])
    assert player == "player (ID: 0)"
    words = box.split()[0], box.split()[1], key.split()[1], pie.split()[0]
    assert len(set(words)) == 4
    assert set(words) <= set(WORDS)
    assert key == f"{words[0]} {words[2]} (ID: 2)"
    assert other.action == f"take {key} from {box}"
    assert other.task == f"Get the {key}."
    assert other.state["objects"][2]["properties"] == {"opens": box}
    assert other.target["objects"][0]["contains"] == [key]
    assert [item["uuid"] for item in other.target["objects"]] == [0, 1, 2, 3]
    assert len(other.difference["modified"]) == len(STEP.difference["modified"]) == 2


def test_names_are_drawn_anew():
    rng = random.Random(0)
    assert len({renamed(STEP, WORDS, rng).action for _ in range(20)}) > 10


SWAP = [
    thing(0, "player", {}) | {"type": "player"},
    thing(1, "box", {}, ("pie (ID: 3)",)) | {"type": "container"},
    thing(2, "bag", {}) | {"type": "container"},
    thing(3, "pie", {"in": "box (ID: 1)"}),
]


def every(step, count=60):
    rng = random.Random(0)
    return [renumbered(step, rng) for _ in range(count)]


def test_only_objects_of_one_type_exchange_their_uuids():
    found = {
        tuple((item["uuid"], item["name"]) for item in step.state["objects"])
        for step in every(transition(SWAP, SWAP, (score(), score()), action="open box (ID: 1)"))
    }
    rest = ((0, "player (ID: 0)"), (3, "pie (ID: 3)"))
    assert {(row[0], row[3]) for row in found} == {rest}
    assert {row[1:3] for row in found} == {
        ((1, "box (ID: 1)"), (2, "bag (ID: 2)")),
        ((1, "bag (ID: 1)"), (2, "box (ID: 2)")),
    }


def test_names_in_the_action_the_task_contents_and_properties_follow():
    for step in every(STEP):
        box = next(i for i in step.state["objects"] if i["name"].startswith("red box"))
        key = next(i for i in step.state["objects"] if i["name"].startswith("red key"))
        assert step.action == f"take {key['name']} from {box['name']}"
        assert step.task == f"Get the {key['name']}."
        assert key["properties"] == {"opens": box["name"]}
        assert key["name"] in box["contains"]
        uuids = [item["uuid"] for item in step.state["objects"]]
        assert uuids == sorted(uuids) == [0, 1, 2, 3]


def test_it_is_the_same_step():
    assert {len(step.difference["modified"]) for step in every(STEP)} == {2}
    assert all(step.changed for step in every(STEP))


def test_an_object_that_the_step_adds_keeps_its_uuid():
    grown = [*SWAP, thing(9, "crumb", {})]
    for step in every(transition(SWAP, grown, (score(), score()))):
        assert [item["uuid"] for item in step.target["objects"]] == [0, 1, 2, 3, 9]
        assert [item["uuid"] for item in step.difference["modified"]] == [9]
