import random

from text_states import score, thing, transition

from rlvr_world.text_game.renaming import name_words, renamed, vocabulary

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
