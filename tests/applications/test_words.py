"""Text games and web pages whose steps a model says, as environments of gymnasium."""

import games
import gymnasium
import pytest
import torch
from games import lamps, step, write_root
from gymnasium.utils.env_checker import check_env
from page_steps import CART, page_step, write_pages

from rlvr_world.applications import gymnasium_ids
from rlvr_world.applications.play.session import Session
from rlvr_world.applications.play.text_world import TextWorld
from rlvr_world.applications.words.environment import WordEnvironment, WordVectorEnvironment
from rlvr_world.applications.words.worlds import word_world
from rlvr_world.language.bpe import learn_bpe
from rlvr_world.language.judge import BadAnswer
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.text_game.data import TextDataModule
from rlvr_world.text_game.game_state import canonical
from rlvr_world.web.codec import WebPageCodec
from rlvr_world.web.data import WebDataModule

pytestmark = pytest.mark.filterwarnings("ignore:.*WARN.*")


@pytest.fixture(scope="module")
def game(tmp_path_factory):
    """A model of lamps and its recording."""
    return games.untrained(tmp_path_factory.mktemp("lamps"))


def untrained(codec):
    torch.manual_seed(0)
    return WorldModel(codec, lambda vocab: Transformer(vocab, dim=16, depth=1, heads=2)).eval()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A model of a shop's page, and a recording of its step."""
    root = tmp_path_factory.mktemp("shop")
    write_pages(root / "data", {"train": [CART], "test": [CART]})
    learn_bpe(WebDataModule(str(root / "data")), root / "tokenizer", vocab_size=400)
    codec = WebPageCodec(root / "tokenizer", prompt_length=900, answer_length=200)
    return untrained(codec), root / "data"


def says(model, monkeypatch, *steps):
    """Let a model be certain of the right answers of steps, one batch after the other."""
    waiting = list(steps)

    def sample(batch, *_, **__):
        told = [waiting.pop(0) for _ in batch["transition"]]
        sequence = model.codec.encode(batch | {"transition": told})
        return sequence, torch.zeros(sequence.ids.shape)

    monkeypatch.setattr(model, "sample", sample)


@pytest.mark.parametrize("kind", ["game", "page"])
def test_gymnasium_finds_no_fault(kind, request):
    model, data = request.getfixturevalue(kind)
    environment = WordEnvironment(model, data, render_mode="ansi")
    check_env(environment, skip_render_check=False)
    first = [walk(environment, 3) for _ in range(2)]
    assert first[0] == first[1]
    assert first[0] != walk(environment, 4)


def walk(environment, seed):
    """The states and answers of three steps."""
    state, info = environment.reset(seed=seed)
    actions = info["actions"] * 3
    return [state, *(environment.step(action)[4]["answer"] for action in actions)]


def test_a_game_earns_its_score_and_ends(game, monkeypatch):
    model, data = game
    environment = WordEnvironment(model, data, time_limit=3)
    starts = [start["transition"].action for start in environment.rows.world.starts]
    _, info = environment.reset(options={"start": starts.index("switch 3")})
    assert info["actions"] == ["switch 3", "wait"]
    won = step(13, "switch 0")
    won.target["score"] = {"score": 2, "gameOver": True, "gameWon": True}
    says(model, monkeypatch, step(5, "switch 3"), won)
    state, reward, terminated, _, info = environment.step("switch 3")
    assert (reward, terminated, info["problem"]) == (0, False, "")
    assert canonical(info["transition"].state) == canonical(lamps(13))
    assert info["actions"] == ["switch 0"]
    assert 'lamp (ID: 3): {"isOn": true}' in state
    state, reward, terminated, truncated, _ = environment.step("switch 0")
    assert (reward, terminated, truncated) == (2, True, False)
    assert '"gameOver": true' in state


def test_rows_go_on_as_one_batch_and_begin_anew(game, monkeypatch):
    model, data = game
    many = WordVectorEnvironment(
        model, data, num_envs=2, time_limit=2, reward=lambda step: len(step.action)
    )
    with pytest.raises(gymnasium.error.ResetNeeded):
        many.step(["wait", "wait"])
    starts = [start["transition"].action for start in many.world.starts]
    places = [starts.index("switch 3"), starts.index("wait")]
    states, info = many.reset(seed=1, options={"start": places})
    assert info["start"].tolist() == places
    assert states[0] == states[1]
    says(model, monkeypatch, step(5, "switch 3"), step(5, "wait"), step(13, "switch 0"))
    found, rewards, _, truncated, info = many.step(["switch 3", "wait"])
    assert found[0] != found[1] == states[1]
    assert rewards.tolist() == [8, 4]
    assert not truncated.any()
    found, rewards, _, truncated, info = many.step(["switch 0", ""])
    assert info["problem"].tolist() == ["", "action must not be empty"]
    assert rewards.tolist() == [8, 0]
    assert truncated.all()
    _, rewards, _, truncated, info = many.step(["switch 0", "wait"])
    assert info["began"].all()
    assert rewards.tolist() == [0, 0]
    assert not truncated.any()
    with pytest.raises(ValueError, match="options: start must be from 0 to 2, got 3"):
        many.reset(options={"start": 3})


def test_a_page_is_what_the_answers_make_of_it(page, monkeypatch):
    model, data = page
    world = word_world(model, data)
    (here,) = world.starts
    says(model, monkeypatch, CART)
    (answer,) = world.answers([world.question(here, CART.action)])
    there = world.onward(here, answer)["transition"]
    assert there.previous_action == CART.action
    assert there.tree == (
        "[1] RootWebArea 'Cart' focused: true\n\t[2] heading 'Your cart'\n"
        "\t[3] button 'Add' focused: true\n\t[4] StaticText '2 cups'\n"
        "[6] alert 'Added' live: polite"
    )
    assert world.state(there).startswith("http://shop/cart\nBuy a cup.\n[1]")
    assert not world.recorded(there)


def test_a_page_has_only_actions_on_its_elements(page):
    model, data = page
    environment = WordEnvironment(model, data)
    state, _ = environment.reset()
    for action, problem in {
        "click [99]": "action: the page has no element 99",
        "dance": "no action: 'dance'",
        "press [" + "x" * 500 + "]": "action must be a text of 1 to 500 characters on one line",
        "press [\ud800]": "action must be a text of 1 to 500 characters on one line",
        "hover [2]\nhover [3]": "action must be a text of 1 to 500 characters on one line",
    }.items():
        same, reward, _, _, info = environment.step(action)
        assert (same, reward, info["problem"], info["answer"]) == (state, 0, problem, "")


def test_one_action_is_one_prompt_however_it_is_written(page):
    model, data = page
    world = word_world(model, data)
    (here,) = world.starts
    for text in ("  click [3]\n", "click [3]"):
        assert world.question(here, text)["transition"] is not None
        assert world.question(here, text)["transition"].next_tree == CART.next_tree
    assert world.question(here, "type [3] [x]")["transition"].action == "type [3] [x] [1]"


@pytest.mark.parametrize(
    "answer",
    [
        '"score":{"score":1e999,"gameOver":false,"gameWon":false}',
        '"score":{"score":' + "9" * 400 + ',"gameOver":false,"gameWon":false}',
        '"score":{},"x":{}',
    ],
)
def test_answers_that_are_no_data_lead_nowhere(game, answer):
    model, data = game
    world = word_world(model, data)
    text = f'{{"modified":[],"removed":[],{answer}}}'
    with pytest.raises(BadAnswer):
        world.ended(world.starts[0]["transition"], text)


def test_modes_of_one_game_stay_apart(tmp_path, game):
    steps = [step(5, action, mode=mode) for mode, action in (("full", "wait"), ("tick", ""))]
    write_root(tmp_path / "data", {"train": steps, "test": steps})
    modes = TextDataModule(str(tmp_path / "data"), modes=["full", "tick"], num_workers=0)
    world = word_world(game[0], modes)
    for start in world.starts:
        asked = world.question(start, start["transition"].action)
        assert asked["transition"] == start["transition"]


@pytest.mark.parametrize(
    ("use", "sentence"),
    [
        (lambda many: many.step("wait"), "step needs 2 actions, one of each row, got one text"),
        (lambda many: many.step(["wait"] * 3), "step needs 2 actions, one of each row, got 3"),
        (lambda many: many.reset(options={"start": 1.7}), "start must be a number, or 2 of them"),
        (lambda many: many.reset(options={"start": [0, 1, 2]}), "start must be a number, or 2"),
        (lambda many: many.reset(options={"begin": 1}), "options: there is no begin"),
        (lambda many: many.reset(seed=[1, 2, 3]), "seed must be one number, or 2, got 3"),
    ],
)
def test_what_rows_are_told_is_checked(game, use, sentence):
    many = WordVectorEnvironment(*game, num_envs=2)
    many.reset(seed=0)
    with pytest.raises(ValueError, match=sentence):
        use(many)


@pytest.mark.parametrize(
    "options",
    [{"time_limit": 1.5}, {"num_envs": True}, {"reward": "score"}, {"sampler": "greedy"}],
)
def test_what_environments_are_made_of_is_checked(game, options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        WordVectorEnvironment(*game, **options)


def test_data_of_another_kind_and_long_starts_are_refused(game, page):
    with pytest.raises(ValueError, match="read with TextDataModule, got WebDataModule"):
        word_world(game[0], WebDataModule(str(page[1])))
    codec = WebPageCodec(page[0].codec.tokenizer, prompt_length=10, answer_length=200)
    with pytest.raises(ValueError, match="holds no steps that fit into a prompt"):
        word_world(untrained(codec), page[1])


def test_a_new_element_takes_a_free_id(page):
    model, data = page
    world = word_world(model, data)
    taken = page_step(CART.tree + "\n\t[6] link 'Help'", CART.next_tree)
    (text,) = world.codec.answer_texts({"transition": [taken]})
    assert "[7] alert 'Added' live: polite" in world.ended(taken, text).next_tree


def test_a_page_can_be_played(page, monkeypatch):
    model, data = page
    session = Session(TextWorld(model, data))
    assert session.moments[0].shown["actions"] == [CART.action]
    says(model, monkeypatch, CART)
    (shown,) = session.step(0, CART.action)
    assert shown["text"] == shown["truth"]
    assert "[6] alert 'Added'" in shown["state"]
    with pytest.raises(ValueError, match="the page has no element 99"):
        session.step(1, "click [99]")


def test_ids_make_environments_of_words(game):
    model, data = game
    gymnasium.register_envs(gymnasium_ids)
    environment = gymnasium.make("rlvr_world/TextWorld-v0", checkpoint=model, data=data)
    assert isinstance(environment.unwrapped, WordEnvironment)
    many = gymnasium.make_vec("rlvr_world/WorldModel-v0", 3, checkpoint=model, data=data)
    states, _ = many.reset(seed=0)
    assert len(states) == 3
    assert many.action_space.contains(many.action_space.sample())


def test_models_of_other_things_are_refused(game):
    model, data = game
    with pytest.raises(ValueError, match="render_mode must be ansi or None, got human"):
        WordVectorEnvironment(model, data, render_mode="human")
    other = WorldModel.__new__(WorldModel)
    torch.nn.Module.__init__(other)
    other.codec = torch.nn.Identity()
    with pytest.raises(ValueError, match="codec is Identity; only world models of video"):
        word_world(other, data)
