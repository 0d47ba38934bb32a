import math

import numpy as np
import pytest
import torch
from torch.distributions import Categorical

from rlvr_world.rl import losses
from rlvr_world.rl.grpo import group_relative
from rlvr_world.rl.losses import (
    clipped_share,
    clipped_surrogate,
    entropy,
    importance_weights,
    kl_k3,
    masked_mean,
    token_entropy,
    token_log_probs,
)
from rlvr_world.types import TokenSequence


def reference_grpo(new, old, ref, mask, rewards, low, high, kl_weight):
    """GRPO's objective written out token by token in plain floats."""
    groups, size = rewards.shape
    total, count = 0.0, 0
    for b in range(groups):
        mean = sum(rewards[b]) / size
        std = math.sqrt(sum((r - mean) ** 2 for r in rewards[b]) / (size - 1))
        for g in range(size):
            advantage = (rewards[b][g] - mean) / (std + 1e-6)
            row = b * size + g
            for t in range(new.shape[1]):
                if not mask[row][t]:
                    continue
                ratio = math.exp(new[row][t] - old[row][t])
                clipped = min(max(ratio, 1 - low), 1 + high)
                surrogate = min(ratio * advantage, clipped * advantage)
                gap = ref[row][t] - new[row][t]
                total += -surrogate + kl_weight * (math.exp(gap) - gap - 1)
                count += 1
    return total / count


@pytest.mark.parametrize("seed", range(5))
def test_objective_equals_a_token_by_token_reference(seed):
    random = np.random.default_rng(seed)
    new, old, ref = -random.exponential(1.5, (3, 12, 7))
    mask, rewards = random.random((12, 7)) < 0.6, random.normal(size=(3, 4))
    expected = reference_grpo(new, old, ref, mask, rewards, 0.2, 0.28, 0.05)
    tensors = [torch.from_numpy(x) for x in (new, old, ref, mask, rewards)]
    lp, old_lp, ref_lp, token_mask, reward = tensors
    advantages = group_relative(reward).flatten()[:, None]
    terms = clipped_surrogate(lp, old_lp, advantages, 0.2, 0.28) + 0.05 * kl_k3(lp, ref_lp)
    assert float(masked_mean(terms, token_mask)) == pytest.approx(expected, abs=1e-6)


def test_k3_is_an_unbiased_estimate_of_the_kl_divergence():
    torch.manual_seed(0)
    p, q = torch.randn(2, 6, dtype=torch.float64).log_softmax(-1)
    exact = (p.exp() * (p - q)).sum()
    assert float((p.exp() * kl_k3(p, q)).sum()) == pytest.approx(float(exact), abs=1e-12)
    assert (kl_k3(p, q) >= 0).all()
    assert float(kl_k3(p, p).abs().max()) == 0


def test_clipping_cuts_the_gradient_exactly_where_the_share_says():
    log_probs = torch.tensor([[0.5, 0.1, -0.5, -0.1]]).repeat(2, 1).requires_grad_()
    old, advantages = torch.zeros(2, 4), torch.tensor([[1.0], [-1.0]])
    clipped_surrogate(log_probs, old, advantages).sum().backward()
    clipped = clipped_share(log_probs.detach(), old, advantages)
    assert clipped.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]
    assert torch.equal(log_probs.grad == 0, clipped == 1)


def test_entropy_equals_the_sum_over_legal_tokens():
    torch.manual_seed(0)
    logits = 3 * torch.randn(5, 7, dtype=torch.float64)
    legal = torch.tensor([True] * 5 + [False] * 2)
    masked = logits.masked_fill(~legal, -math.inf).requires_grad_()
    for row, found in zip(logits[:, :5].tolist(), entropy(masked).tolist(), strict=True):
        total = sum(map(math.exp, row))
        shares = [math.exp(value) / total for value in row]
        assert found == pytest.approx(-sum(p * math.log(p) for p in shares))
    entropy(masked).sum().backward()
    p = masked.detach().softmax(-1)
    slope = -p * (p.log().nan_to_num(neginf=0.0) + entropy(masked).detach()[:, None])
    torch.testing.assert_close(masked.grad, slope)
    assert (masked.grad[:, 5:] == 0).all()


def test_entropies_and_log_probs_stand_at_the_predicted_positions(monkeypatch):
    monkeypatch.setattr(losses, "ENTROPY_TOKENS", 2)
    torch.manual_seed(0)
    mask = torch.tensor([[False, True, True], [False, False, True]])
    sequence = TokenSequence(torch.randint(6, (2, 3)), mask)
    logits = torch.randn(3, 6, requires_grad=True)
    found = token_entropy(logits, sequence)
    torch.testing.assert_close(found[mask], Categorical(logits=logits).entropy())
    assert (found[~mask] == 0).all()
    log_probs = token_log_probs(logits, sequence)
    expected = Categorical(logits=logits).log_prob(sequence.ids[mask])
    torch.testing.assert_close(log_probs[mask], expected)
    assert (log_probs[~mask] == 0).all()
    (gradient,) = torch.autograd.grad(found.sum(), logits, retain_graph=True)
    (reference,) = torch.autograd.grad(entropy(logits).sum(), logits)
    torch.testing.assert_close(gradient, reference)


def test_masked_mean_ignores_the_rest():
    values = torch.tensor([[1.0, math.inf], [3.0, 5.0]])
    values[0, 1] = 100.0
    assert float(masked_mean(values, torch.tensor([[True, False], [True, True]]))) == 3.0
    assert float(masked_mean(values, torch.zeros(2, 2, dtype=torch.bool))) == 0.0


def test_importance_weights_by_hand():
    policy = torch.tensor([[0.5, 0.3, 0.9, 0.1]]).log()
    engine = torch.tensor([[0.25, 0.3, 0.1, 0.4]]).log()
    mask = torch.tensor([[True, True, True, True]])
    weights = importance_weights(policy, engine, mask, limit=3.0)
    assert weights.tolist() == [pytest.approx([2.0, 1.0, 3.0, 0.25])]
    assert importance_weights(policy, engine, mask)[0, 2] == 2


def test_positions_outside_the_mask_have_weight_one_whatever_they_hold():
    policy = torch.tensor([[math.inf, -math.inf, math.nan, math.log(0.5)]])
    mask = torch.tensor([[False, False, False, True]])
    weights = importance_weights(policy, torch.zeros(1, 4), mask)
    assert weights.tolist() == [[1, 1, 1, 0.5]]


def test_weights_make_the_mean_over_the_engine_that_over_the_policy():
    generator = torch.Generator().manual_seed(0)
    policy, engine = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.4, 0.4, 0.2])
    values = torch.tensor([1.0, 5.0, -3.0])
    tokens = torch.multinomial(engine, 200_000, replacement=True, generator=generator)
    weights = importance_weights(
        policy.log()[tokens], engine.log()[tokens], torch.ones(200_000, dtype=torch.bool)
    )
    assert (weights * values[tokens]).mean() == pytest.approx(float(policy @ values), abs=0.03)
    assert abs(values[tokens].mean() - policy @ values) > 0.2


def test_no_gradient_flows_through_the_weights():
    policy = torch.zeros(1, 2, requires_grad=True)
    assert not importance_weights(policy, policy - 1, torch.ones(1, 2) > 0).requires_grad


def test_a_limit_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        importance_weights(torch.zeros(1, 1), torch.zeros(1, 1), torch.ones(1, 1) > 0, 0.5)
