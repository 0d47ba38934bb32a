"""Variants of the objective against formulas written out token by token."""

import math

import pytest
import torch

from rlvr_world.rl.grpo import GRPO, ended, group_relative, has_spread, spreadless_share
from rlvr_world.types import Rollout, TokenSequence

PROMPT, GROUP, LENGTHS = 3, 3, [4, 2, 1, 3, 4, 2]
REWARDS = torch.tensor([1.0, 0.0, 0.5, 1.0, 1.0, 1.0])  # the second group has no spread


def rollout(objective: GRPO) -> tuple[torch.Tensor, Rollout]:
    """Log-probabilities of a changed policy, and six predictions of up to four tokens."""
    torch.manual_seed(0)
    old = -torch.rand(6, 4) - 0.1
    new, reference = old + 0.5 * torch.randn(6, 4), old + 0.3 * torch.randn(6, 4)
    mask = torch.tensor([[i < length for i in range(4)] for length in LENGTHS])
    mask, new, old, reference = (behind_prompt(part) for part in (mask, new, old, reference))
    sequence = TokenSequence(torch.full(mask.shape, 5), mask)
    groups = REWARDS.view(2, GROUP)
    trained = objective.trained_tokens(sequence, groups, end_token=None)
    importance = behind_prompt(0.5 + torch.rand(6, 4))
    advantages = objective.advantages(REWARDS[:, None], GROUP)
    return new, Rollout(sequence, old, reference, importance, trained, {}, REWARDS, advantages)


def behind_prompt(values: torch.Tensor) -> torch.Tensor:
    """Values of four tokens after a prompt of three, where they are 0."""
    return torch.nn.functional.pad(values, (PROMPT, 0))


def by_hand(objective: GRPO, new: torch.Tensor, batch: Rollout) -> float:
    """The same loss, one token after another."""
    sums, kept = [], []
    new, old, reference, importance = (
        part[:, PROMPT:]
        for part in (new, batch.log_probs, batch.reference_log_probs, batch.importance)
    )
    for row, length in enumerate(LENGTHS):
        group = REWARDS[row // GROUP * GROUP :][:GROUP]
        if objective.spreadless == "drop" and group.std() == 0:
            sums.append(0.0)
            kept.append(0)
            continue
        advantage = float(REWARDS[row] - group.mean())
        if objective.normalize_advantages:
            advantage /= float(group.std()) + 1e-6
        gaps = [float(new[row, i] - old[row, i]) for i in range(length)]
        total = 0.0
        for i, gap in enumerate(gaps):
            ratio = math.exp(sum(gaps) / length if objective.level == "sequence" else gap)
            clipped = min(max(ratio, 1 - objective.clip_low), 1 + objective.clip_high)
            surrogate = -min(ratio * advantage, clipped * advantage)
            away = float(reference[row, i] - new[row, i])
            kl = math.exp(away) - away - 1
            total += float(importance[row, i]) * surrogate + objective.kl_weight * kl
        sums.append(total)
        kept.append(length)
    if objective.reduction == "token":
        return sum(sums) / sum(kept)
    if objective.reduction == "sequence":
        return sum(s / max(k, 1) for s, k in zip(sums, kept, strict=True)) / 6
    return sum(sums) / (6 * 4)


def test_advantages_by_hand():
    rewards = torch.tensor([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]])
    expected = torch.tensor([[-1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(group_relative(rewards), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(group_relative(3 * rewards, normalize=False), 3 * expected)
    assert float(spreadless_share(rewards)) == 0.5


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("value", [1.3, -0.1, 1e-8, 1e6, 0.0])
def test_equal_rewards_teach_nothing(value, normalize):
    """In floating point the mean of 16 times 1.3 is not 1.3."""
    rewards = torch.full((2, 16), value)
    rewards[1] = torch.linspace(value, value * (1 + 4e-7), 16)
    assert (group_relative(rewards, normalize) == 0).all()
    assert not has_spread(rewards).any()
    returns = rewards.flatten()[:, None]
    assert (GRPO(normalize_advantages=normalize).advantages(returns, 16) == 0).all()


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e6])
def test_small_differences_are_a_spread(scale):
    rewards = scale * torch.tensor([[1.0, 1.0, 1.0, 1.00001]])
    assert has_spread(rewards).all()
    assert float(group_relative(rewards, normalize=False)[0, -1]) > 0


def test_a_reward_that_is_not_finite_stays_visible():
    rewards = torch.tensor([[1.0, torch.nan, 2.0], [1.0, torch.inf, 2.0], [0.0, 1.0, 2.0]])
    advantages = group_relative(rewards)
    assert not advantages[:2].isfinite().any()
    assert advantages[2].isfinite().all()


@pytest.mark.parametrize("reduction", ["token", "sequence", "constant"])
@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize("spreadless", ["keep", "drop"])
@pytest.mark.parametrize("normalize", [True, False])
def test_loss_equals_the_formula(reduction, level, spreadless, normalize):
    objective = GRPO(
        clip_low=0.1, clip_high=0.28, kl_weight=0.05, normalize_advantages=normalize,
        reduction=reduction, level=level, spreadless=spreadless,
    )  # fmt: skip
    new, batch = rollout(objective)
    loss, _ = objective.surrogate(new, batch)
    assert float(loss) == pytest.approx(by_hand(objective, new, batch), abs=1e-6)


@pytest.mark.parametrize("spreadless", ["keep", "drop"])
def test_what_else_is_to_be_maximised_lowers_the_loss_by_its_mean_over_trained_tokens(spreadless):
    plain = GRPO(spreadless=spreadless)
    new, batch = rollout(plain)
    bonus = behind_prompt(torch.rand(6, 4))
    without, _ = plain.surrogate(new, batch)
    loss, _ = plain.surrogate(new, batch, 0.3 * bonus)
    rows = range(3 if spreadless == "drop" else 6)
    values = [float(bonus[row, PROMPT + i]) for row in rows for i in range(LENGTHS[row])]
    assert float(without - loss) == pytest.approx(0.3 * sum(values) / len(values), abs=1e-6)


@pytest.mark.parametrize("reduction", ["token", "sequence", "constant"])
def test_parts_of_a_minibatch_add_up(reduction):
    objective = GRPO(reduction=reduction, spreadless="drop")
    new, batch = rollout(objective)
    whole, _ = objective.surrogate(new, batch)
    parts = [slice(0, 2), slice(2, 6)]
    total = sum(
        objective.surrogate(new[rows], batch.select(rows))[0]
        * objective.size(batch.trained[rows])
        / objective.size(batch.trained)
        for rows in parts
    )
    torch.testing.assert_close(total, whole)


def test_a_sequence_ratio_lets_gradients_flow_to_every_token():
    objective = GRPO(level="sequence", clip_low=9, clip_high=9)
    new, batch = rollout(objective)
    new.requires_grad_()
    objective.surrogate(new, batch)[0].backward()
    assert (new.grad[0, PROMPT:] != 0).all()
    assert (new.grad[2, PROMPT + 1 :] == 0).all()
    assert (new.grad[:, :PROMPT] == 0).all()


def test_predictions_without_an_end_are_masked_if_asked():
    ids = torch.tensor([[7, 4, 4, 0], [7, 4, 0, 0], [7, 4, 4, 4]])
    mask = torch.tensor(
        [[False, True, True, True], [False, True, True, False], [False] + [True] * 3]
    )
    sequence, rewards = TokenSequence(ids, mask), torch.tensor([[0.0, 1.0, 2.0]])
    assert ended(sequence, 0).tolist() == [True, True, False]
    kept = GRPO().trained_tokens(sequence, rewards, 0)
    masked = GRPO(overlong="mask").trained_tokens(sequence, rewards, 0)
    assert torch.equal(kept, mask)
    assert torch.equal(masked, mask & torch.tensor([[True], [True], [False]]))


def test_a_rollout_that_teaches_nothing_gives_a_loss_of_zero():
    objective = GRPO(spreadless="drop")
    new, batch = rollout(objective)
    rows = slice(3, 6)
    loss, _ = objective.surrogate(new[rows], batch.select(rows))
    assert float(loss) == 0
    assert float(objective.size(batch.trained[rows])) == 0
