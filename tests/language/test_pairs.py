"""Pairs of steps from one state, and what a model without eyes for the action gets on them."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
from games import lamps, step, write_root
from page_steps import CART, SAME, page_step, tick, write_pages

from rlvr_world.evaluation.columns import Scorer
from rlvr_world.evaluation.following import Following
from rlvr_world.language.bpe import learn_bpe
from rlvr_world.language.pairs import TransitionPairs
from rlvr_world.rl.sampler import Sampler
from rlvr_world.text_game.codec import TextGameCodec
from rlvr_world.text_game.data import TextDataModule
from rlvr_world.text_game.prompt import compact_json
from rlvr_world.text_game.rewards import StateMatch
from rlvr_world.text_game.transition import diff
from rlvr_world.web.data import WebDataModule

ACTIONS = ("switch 2", "switch 5", "wait", "look")


def batches(data):
    """All pairs of a split, by side."""
    found = {}
    for side in ("changing", "other"):
        pairs = TransitionPairs(data, side)
        pairs.setup("test")
        (found[side],) = pairs.test_dataloader()
    return found


@pytest.fixture
def games(tmp_path):
    steps = [step(on, action) for on in (0, 9) for action in ACTIONS]
    write_root(tmp_path / "lamps", {"train": steps, "test": [*steps, step(3, "switch 2")]})
    return TextDataModule(str(tmp_path / "lamps"), eval_batch_size=50)


def test_pairs_have_one_state_other_actions_and_other_results(games):
    found = batches(games)
    pairs = list(zip(*(found[side]["transition"] for side in found), strict=True))
    assert len(pairs) == 10
    assert all(one.state == other.state and one.changed for one, other in pairs)
    assert {frozenset((one.action, other.action)) for one, other in pairs} == {
        frozenset(names)
        for names in (ACTIONS[:2], *((a, b) for a in ACTIONS[:2] for b in ACTIONS[2:]))
    }
    assert found["changing"]["key"] == found["other"]["key"]
    assert len(set(found["other"]["key"])) == 10
    assert found["other"]["rules"] == [{"objects": "o", "actions": "a", "score": "s"}] * 10


def test_pages_start_alike_whatever_led_to_them(tmp_path):
    tenfold = re.sub(r"\[(\d+)\]", r"[\g<1>0]", CART.tree)
    stays = replace(SAME, previous_action="click [2]")
    of_other_ids = page_step(tenfold, tenfold, "hover [30]")
    steps = {"train": [tick(0, "click [1]")], "test": [CART, stays, of_other_ids]}
    write_pages(tmp_path / "pages", steps)
    found = batches(WebDataModule(str(tmp_path / "pages"), eval_batch_size=50))
    assert found["changing"]["transition"] == [CART]
    assert found["other"]["transition"] == [SAME]


class Row:
    """A row that reads the state and the action of a prompt and says what a rule makes of them."""

    def __init__(self, codec, rule):
        self.settings, self.sampler = {}, Sampler()
        self.model, self.rule = SimpleNamespace(codec=codec), rule

    def predict(self, batch, group_size, generator):
        template = self.model.codec.template(batch)
        prompts = self.model.codec.texts(template.ids, ~template.target_mask)
        return [self.answer(prompt) for prompt in prompts for _ in range(group_size)]

    def answer(self, prompt):
        on = sum((v == "true") << i for i, v in enumerate(re.findall(r"(true|false)", prompt)[:10]))
        after = self.rule(on, prompt.partition("> ")[2].split())
        return compact_json(diff(lamps(on), lamps(after)))

    def generator(self, seed):
        return None

    def nll(self, sequence):
        return None


def switch(on, action):
    return on ^ (1 << int(action[1])) if action[0] == "switch" else on


def test_a_model_that_does_not_see_the_action_scores_half(games, tmp_path):
    learn_bpe(games, tmp_path / "tokenizer", vocab_size=300)
    codec = TextGameCodec(tmp_path / "tokenizer", prompt_length=2000)
    rows = {
        "seeing": Row(codec, switch),
        "blind": Row(codec, lambda on, action: on ^ 4),
        "wrong": Row(codec, lambda on, action: on ^ 1),
    }
    compared = SimpleNamespace(rows=rows, scorer=Scorer({"match": StateMatch()}, {}))
    following = Following(compared, seeds=1)
    assert list(following.score(batches(games))) == ["copy_last", *rows]
    scores = pd.concat(following.frames)
    means = scores.groupby(["row", "metric"])["value"].mean().unstack()
    shares = means.loc[["copy_last", "seeing", "blind", "wrong"], ["pairs/match", "ties/match"]]
    expected = [[0.5, 0.2], [1, 0], [0.5, 0.4], [float("nan"), 1]]
    assert shares.to_numpy().tolist() == [pytest.approx(each, nan_ok=True) for each in expected]
    assert means.loc["seeing", "match/changing"] == 1


def test_what_cannot_be_paired_is_refused(tmp_path):
    alone = [step(0, "switch 2"), step(1, "wait")]
    write_root(tmp_path / "lamps", {"test": alone})
    with pytest.raises(ValueError, match="no two steps of the test split have one state"):
        batches(TextDataModule(str(tmp_path / "lamps")))
    with pytest.raises(ValueError, match="pairs have the sides changing and other, not test"):
        TransitionPairs(TextDataModule(str(tmp_path / "lamps")), "test").test_dataloader()
