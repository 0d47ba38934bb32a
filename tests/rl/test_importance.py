import math

import pytest
import torch

from rlvr_world.rl.importance import importance_weights


def test_weights_by_hand():
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
