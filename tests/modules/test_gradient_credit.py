"""Credit by the decoder's gradient: its slopes, its loss and what it refuses."""

import dataclasses
from functools import partial

import pytest
import torch
from dials import DialCodec, DialsRight, Transitions
from tiny_walk import TinyWalk, tiny_tokenizer
from torch.utils.data import default_collate

from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.reward import Reward
from rlvr_world.rl.credit import Credit
from rlvr_world.rl.gradient import curvature, expected_worth, parabolas, slope_moments
from rlvr_world.video.codecs.context import ContextVideoCodec
from rlvr_world.video.rewards.frames import MAE, MSE

GROUP = 4


class Rounded(Reward):
    """A reward of whole numbers by NumPy: no change of a picture changes it a little."""

    def score(self, prediction, target, given):
        gap = prediction.cpu().numpy() - target.cpu().numpy()
        return torch.from_numpy(gap.reshape(len(gap), -1).sum(axis=1).round())


class Untrained(RLVRWorldModel):
    """Rolls out without a trainer."""

    batches_seen = 0


def model(credit, **rewards):
    torch.manual_seed(0)
    codec = ContextVideoCodec(tiny_tokenizer().eval(), [-1], [1], action_bins=3)
    return Untrained(
        codec=codec,
        backbone=partial(Transformer, dim=16, depth=1, heads=2),
        rewards=rewards or {"mae": MAE(), "mse": MSE(weight=2.0)},
        group_size=GROUP,
        credit=credit,
    )


@pytest.fixture
def batch():
    return next(iter(TinyWalk(batch_size=2, size=2).train_dataloader()))


def rolled_out(built, batch):
    built.reference = FrozenCopy(built)
    return built.rollout(batch)


class FrozenCopy:
    """A reference: the policy itself, which is what it is before the first step."""

    def __init__(self, built):
        self.module = built.backbone

    def on(self, device):
        return self.module


def worth_near(built, batch, rollout, points):
    """What predictions are worth whose codes were moved to ``points``."""
    frames = built.codec.decode_points(rollout.sequence, points)
    scores = built.rewards.scores(frames, built.codec.target(batch), batch, built.detail)
    return built.credit.own_worth(built.rewards.total(scores))


def slopes_at(rollout, points):
    """The derivatives of the parabolas."""
    straight, squares = rollout.parabolas.chunk(2, dim=-1)
    return straight + 2 * squares * points


def points_of(built, rollout):
    ids = rollout.sequence.ids[rollout.sequence.target_mask].unflatten(
        0, (len(rollout.rewards), -1)
    )
    return built.codec.points()[ids]


def test_points_of_codes_decode_as_the_codes_do(batch):
    built = model(Credit())
    sequence = built.codec.encode(batch)
    ids = sequence.ids[sequence.target_mask].unflatten(0, (2, -1))
    decoded = built.codec.decode_points(sequence, built.codec.points()[ids])
    assert torch.equal(decoded, built.codec.decode(sequence))


@pytest.mark.parametrize("credit", [
    Credit(gradient=1.0), Credit(gradient=1.0, to="frame"),
    Credit(gradient=1.0, to="patch", frames="discount", discount=0.5),
])  # fmt: skip
def test_slopes_are_those_of_small_moves(batch, credit):
    built = model(credit, mse=MSE())
    built.objective = dataclasses.replace(built.objective, normalize_advantages=False)
    rollout = rolled_out(built, batch)
    points = points_of(built, rollout)
    found, expected = [], []
    for seed in range(6):  # some moves cross where a pixel is clamped, so no single one decides
        direction = torch.randn(points.shape, generator=torch.Generator().manual_seed(seed))
        moves = [points + step * direction for step in (1e-3, -1e-3)]
        there, back = (worth_near(built, batch, rollout, moved) for moved in moves)
        expected.append((there - back) / 2e-3)
        found.append((slopes_at(rollout, points) * direction).flatten(1).sum(dim=1))
    found, expected = torch.cat(found), torch.cat(expected)
    assert torch.corrcoef(torch.stack([found, expected]))[0, 1] > 0.99
    assert float(found.std()) == pytest.approx(float(expected.std()), rel=0.05)


def test_of_frames_each_has_the_share_that_its_own_return_gives_it():
    rewards = torch.rand(5, 3)
    own = Credit(to="frame", frames="discount", discount=0.5).own_worth(rewards)
    shares = torch.tensor([1 / 1.75, 1 / 1.5, 1.0])
    torch.testing.assert_close(own, rewards @ shares)
    mean = Credit().own_worth(rewards.mean(dim=1))
    torch.testing.assert_close(mean, rewards.mean(dim=1))


def test_expected_worth_has_the_policy_gradient_of_a_quadratic_reward():
    """Against REINFORCE summed over every token that could have been drawn."""
    generator = torch.Generator().manual_seed(0)
    logits, points, drawn, best = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((1, 6), (6, 3), (4, 1, 3), (3,))
    )
    logits.requires_grad_()
    curved = torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64)
    slopes = curved * (best - drawn)
    worth = parabolas(slopes, drawn, curvature(slope_moments(slopes, drawn, 4)))[:1, 0]
    (found,) = torch.autograd.grad(expected_worth(logits, worth, points).sum(), logits)
    expected = torch.zeros(6, dtype=torch.float64)
    rewards = -(curved / 2 * (points - best).square()).sum(dim=1)
    for token, probability in enumerate(logits.softmax(-1).detach()[0]):
        (score,) = torch.autograd.grad(logits.log_softmax(-1)[0, token], logits)
        expected += probability * rewards[token] * score[0]
    torch.testing.assert_close(found[0], expected, rtol=1e-5, atol=1e-6)


def test_a_reward_that_bends_upwards_or_a_group_of_equals_has_no_curvature():
    points = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0))
    assert curvature(slope_moments(points, points, 4)).tolist() == [0.0, 0.0, 0.0]
    bent = curvature(slope_moments(-2 * points, points, 4))
    assert bent.tolist() == pytest.approx([2.0, 2.0, 2.0])
    alike = points[:1].expand(4, 2, 3)
    assert curvature(slope_moments(-alike, alike, 4)).tolist() == [0.0, 0.0, 0.0]


def test_the_gradient_alone_leads_to_better_predictions(batch):
    built = model(Credit(gradient=1.0, samples=0.0), mse=MSE())
    with torch.no_grad():
        built.codec.tokenizer.module.from_codes[0].weight.mul_(16)  # codes that can be seen
    optimizer, rewards = torch.optim.Adam(built.backbone.parameters(), lr=2e-2), []
    for step in range(16):
        built.batches_seen = step
        rollout = rolled_out(built, batch)
        logits = built.logits(rollout.sequence, GROUP, built.backbone)
        loss, _ = built.objective.loss(logits, rollout, built.bonus(logits, rollout))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rewards.append(float(rollout.rewards.mean()))
    assert min(rewards[-3:]) > max(rewards[:3])


def test_a_reward_without_a_gradient_is_refused_where_nothing_else_teaches_it(batch):
    alone = model(Credit(gradient=1.0, samples=0.0), mae=MAE(), whole=Rounded())
    with pytest.raises(ValueError, match=r"credit.gradient: rewards.whole \(Rounded\) is not diff"):
        rolled_out(alone, batch)
    only = model(Credit(gradient=1.0), whole=Rounded())
    with pytest.raises(ValueError, match="not differentiable"):
        rolled_out(only, batch)
    both = model(Credit(gradient=1.0), mae=MAE(), whole=Rounded())
    assert rolled_out(both, batch).parabolas.abs().sum() > 0
    watched = model(Credit(gradient=1.0, samples=0.0), mae=MAE(), whole=Rounded(weight=0))
    assert rolled_out(watched, batch).parabolas.abs().sum() > 0


def test_tokens_that_are_no_points_are_refused():
    built = Untrained(
        codec=DialCodec(),
        backbone=partial(Transformer, dim=16, depth=1, heads=2),
        rewards={"right": DialsRight()},
        group_size=GROUP,
        credit=Credit(gradient=1.0),
    )
    rows = default_collate([Transitions(2, 0, 0.0)[row] for row in range(2)])
    with pytest.raises(ValueError, match=r"credit.gradient: the tokens of DialCodec are no points"):
        rolled_out(built, rows)


def test_weights_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="samples and gradient"):
        Credit(samples=0.0)
    with pytest.raises(ValueError, match="samples and gradient"):
        Credit(gradient=-1.0)
