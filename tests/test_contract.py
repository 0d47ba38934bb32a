"""What every reward must do, for every concrete ``Reward`` in ``rlvr_world.rewards``."""

import copy
import importlib
import inspect
import json
import pickle
import pkgutil
from functools import partial

import pytest
import torch
import torch.multiprocessing as mp
from image_backbones import dinov2
from page_steps import CART
from text_states import LAMP
from torch import Tensor

import rlvr_world
from rlvr_world.reward import Reward, RewardSet
from rlvr_world.text_game.rewards import TextGameReward
from rlvr_world.text_game.transition import Transition
from rlvr_world.types import Batch
from rlvr_world.video.rewards.energy import EnergyScore
from rlvr_world.video.rewards.features import FeatureDistance
from rlvr_world.video.rewards.frames import MAE, VideoReward
from rlvr_world.video.rewards.motion import MovingMSE, PairReward
from rlvr_world.video.rewards.physics import ProbedDistance
from rlvr_world.video.scenes.state_probe import StateProbe
from rlvr_world.web.page import WebTransition
from rlvr_world.web.prompt import NO_CHANGE, page_answer
from rlvr_world.web.rewards import WebPageReward


def concrete_rewards() -> list[type[Reward]]:
    names = [
        m.name
        for m in pkgutil.walk_packages(rlvr_world.__path__, "rlvr_world.")
        if "rewards" in m.name
    ]
    members = [vars(importlib.import_module(name)).values() for name in names]
    found = {
        member
        for values in members
        for member in values
        if inspect.isclass(member) and issubclass(member, Reward) and not inspect.isabstract(member)
    }
    return sorted(found, key=lambda reward: reward.__name__)


def frames() -> tuple[Tensor, Tensor]:
    """Four predictions of two frames, each worse than the one before, the first perfect."""
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(4, 2, 3, 40, 48, generator=generator)
    noise = torch.rand(target.shape, generator=generator)
    share = torch.tensor([0.0, 0.1, 0.3, 0.6]).view(4, 1, 1, 1, 1)
    return (1 - share) * target + share * noise, target


def neighbours() -> tuple[Tensor, Tensor]:
    """Four predictions of three frames, the first perfect; in the others frames repeat."""
    target = torch.rand(4, 3, 3, 40, 48, generator=torch.Generator().manual_seed(0))
    prediction = target.clone()
    prediction[1:, 1:] = target[1:, :1]
    return prediction, target


def answers() -> tuple[list[str], list[Transition]]:
    """The right answer about a text game, and three texts without sound JSON."""
    right = json.dumps(LAMP.difference)
    return [right, right[:-1], "", "I do not know"], [LAMP] * 4


def pages() -> tuple[list[str], list[WebTransition]]:
    """The right answer about a web page, one with a wrong item, no change, and no answer."""
    right = page_answer(CART, "long")
    wrong = right.replace("'Added'", "'Removed'")
    return [right, wrong, NO_CHANGE, "I do not know"], [CART] * 4


EXAMPLES = {
    PairReward: neighbours,
    VideoReward: frames,
    MovingMSE: frames,
    EnergyScore: frames,
    TextGameReward: answers,
    WebPageReward: pages,
}
"""For each family of rewards (before that of its base), predictions and targets of four samples, of
which only the first is right."""

PROBE = StateProbe({"object": [0, 1]}, [0.0, 0.0], [1.0, 1.0], frame_size=(40, 48))


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    """What the rewards that have no defaults need."""
    backbone = dinov2(tmp_path_factory.mktemp("backbone"))
    return {
        ProbedDistance: {"probe": PROBE},
        EnergyScore: {"distance": MAE()},
        FeatureDistance: {"source": backbone, "size": 28},
    }


@pytest.fixture(scope="module", params=concrete_rewards(), ids=lambda reward: reward.__name__)
def reward(request, arguments) -> Reward:
    return request.param(**arguments.get(request.param, {}))


@pytest.fixture
def example(reward):
    families = [family for family in EXAMPLES if isinstance(reward, family)]
    assert families, f"add an example for {type(reward).__name__} to EXAMPLES"
    return EXAMPLES[families[0]]()


def given(count: int) -> Batch:
    """What ``count`` videos were predicted from: a black frame, and an action for each frame."""
    return {"frames": torch.zeros(count, 1, 3, 40, 48), "actions": torch.zeros(count, 3, 2)}


def take(batch, rows: list[int]):
    return batch[rows] if isinstance(batch, Tensor) else [batch[row] for row in rows]


def test_one_finite_score_per_sample(reward, example):
    scores = reward.score(*example, given(4))
    assert scores.shape == (4,)
    assert scores.dtype == torch.float32
    assert scores.isfinite().all()


def test_the_right_prediction_scores_best(reward, example):
    scores = reward.score(*example, given(4)) * (1 if reward.higher_is_better else -1)
    assert (scores[0] > scores[1:]).all()


def test_samples_are_scored_independently(reward, example):
    order = [2, 0, 3, 1]
    permuted = reward.score(*(take(batch, order) for batch in example), given(4))
    torch.testing.assert_close(permuted, reward.score(*example, given(4))[order])


def test_nothing_is_saved_and_copies_score_alike(reward, example):
    expected = reward.score(*example, given(4))
    assert reward.state_dict() == {}
    assert list(reward.parameters()) == []
    for twin in (copy.deepcopy(reward), pickle.loads(pickle.dumps(reward))):
        assert torch.equal(twin.score(*example, given(4)), expected)


def test_running_mean_weighs_every_sample_alike(reward, example):
    scores = reward.score(*example, given(4))
    reward.reset()
    for part in (scores[:1], scores[1:]):
        reward.update(part)
    torch.testing.assert_close(reward.compute(), scores.mean())


def test_a_shared_target_equals_a_repeated_one(reward, example):
    predictions, targets = example
    shared, repeated = take(targets, [0, 3]), take(targets, [0, 0, 3, 3])
    grouped = reward.scores(predictions, shared, given(2))
    if not reward.needs_whole_groups:
        torch.testing.assert_close(grouped, reward.score(predictions, repeated, given(4)))
    in_a_set = RewardSet({"it": reward}).scores(predictions, shared, given(2))["it"]
    torch.testing.assert_close(in_a_set, grouped)
    with pytest.raises(ValueError, match=r"4 predictions for 3 targets.* multiple"):
        reward.scores(predictions, take(targets, [0, 1, 2]), given(3))


def test_weight_and_label(reward, arguments):
    make = partial(type(reward), **arguments.get(type(reward), {}))
    assert make(weight=0.5).weight == 0.5
    assert reward.label.startswith(type(reward).__name__)
    with pytest.raises(ValueError, match=f"{type(reward).__name__}: weight must be at least 0"):
        make(weight=-1.0)


def _mean_on_rank(rank: int, rendezvous: str) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2
    )
    metric = MAE()
    metric.update(torch.tensor([1.0]) if rank == 0 else torch.tensor([4.0, 5.0, 6.0]))
    assert metric.compute().item() == 4.0
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_ranks_agree_on_the_mean_over_all_samples(tmp_path):
    mp.spawn(_mean_on_rank, args=(str(tmp_path / "rendezvous"),), nprocs=2)
