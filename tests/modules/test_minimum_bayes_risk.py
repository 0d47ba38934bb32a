"""Of several predictions the one that is best against the others."""

from functools import partial

import pytest
import torch
from dials import DialCodec, DialsRight, Transitions
from torch.utils.data import DataLoader

from rlvr_world.modules.minimum_bayes_risk import MinimumBayesRisk, mean_rewards
from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.reward import Reward, RewardSet

RIGHT = {"right": DialsRight()}


class Overshoot(Reward):
    """What is predicted too much, for which predicting too little costs nothing."""

    higher_is_better = False

    def score(self, prediction, target, given):
        return (prediction - target).clamp(min=0).float().sum(dim=1)


class WordCodec(DialCodec):
    """Dials that are no state, and so no truth, where the first one is 5."""

    def as_target(self, prediction, batch):
        return [None if state[0] == 5 else state for state in prediction]


class Same(Reward):
    def score(self, prediction, target, given):
        pairs = zip(prediction, target, strict=True)
        return torch.tensor([float(torch.equal(*pair)) for pair in pairs])


@pytest.fixture
def batch():
    return next(iter(DataLoader(Transitions(6, 0, slip=0.4), 6)))


@pytest.fixture
def model():
    torch.manual_seed(0)
    backbone = partial(Transformer, dim=16, depth=1, heads=2)
    return MLEWorldModel(codec=DialCodec(), backbone=backbone).eval()


def of(states, codec, reward, count=1):
    given = {"key": ["a"] * count}
    return mean_rewards(torch.tensor(states), codec, given, RewardSet({"r": reward}))


def test_a_prediction_is_scored_against_each_other_one_as_the_truth():
    found = of([[1, 0, 0], [4, 0, 0], [2, 0, 0]] * 2, DialCodec(), Overshoot(0.5), count=2)
    expected = torch.tensor([0.0, -0.5 * (3 + 2) / 2, -0.5 * 1 / 2])
    assert torch.equal(found, expected.repeat(2, 1))


def test_what_says_no_state_is_no_truth():
    lost, voted, other = [5, 1, 1], [2, 2, 2], [3, 3, 3]
    found = of([lost, lost, lost, voted, other, voted], WordCodec(), Same())
    assert found.tolist() == [[0.0, 0.0, 0.0, 0.5, 0.0, 0.5]]  # against two others with a state
    assert of([lost, lost], WordCodec(), Same()).tolist() == [[0.0, 0.0]]
    chosen = MinimumBayesRisk(2).best([lost, lost], WordCodec(), {"key": ["a"]}, RewardSet(RIGHT))
    assert chosen.tolist() == [0]


def test_each_prediction_is_chosen_from_samples_of_its_own(model, batch):
    sampler = MinimumBayesRisk(8, at_once=24, temperature=0.9)
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        chosen = model.predict(batch, sampler, source, group_size=2, rewards=RewardSet(RIGHT))
    source, places = torch.Generator().manual_seed(1), iter(chosen)
    rows = [row for row in range(6) for _ in range(2)]
    for start in range(0, 12, 3):  # three prompts of eight samples at once
        picked = rows[start : start + 3]
        part = {name: batch[name][picked] for name in ("state", "action", "next_state")}
        sequence, _ = model.sample(part, sampler.sampler, 8, source)
        for drawn in model.codec.decode(sequence).unflatten(0, (3, 8)):
            alike = (drawn[:, None] == drawn).float().mean(dim=2)
            mine = (drawn == next(places)).all(dim=1)
            assert alike.sum(dim=1)[mine].max() == pytest.approx(float(alike.sum(dim=1).max()))
    assert next(places, None) is None


def test_the_command_predict_may_choose_as_well(model, batch):
    model.sampling, model.rewards = MinimumBayesRisk(4), RewardSet(RIGHT)
    expected = model.predict(batch, MinimumBayesRisk(4), model.generator(7))
    assert torch.equal(model.predict_step(batch, 7), expected)
    assert not torch.equal(model.predict(batch, generator=model.generator(7)), expected)


def test_without_a_reward_nothing_can_be_compared(model, batch):
    with pytest.raises(ValueError, match="compared by their rewards, and there are none"):
        model.predict(batch, MinimumBayesRisk())
    with pytest.raises(ValueError, match="samples must be at least 2"):
        MinimumBayesRisk(1)
