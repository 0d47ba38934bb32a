import pytest
import torch

from rlvr_world.rl.credit import Credit, per_token
from rlvr_world.types import WHOLE, Detail

REWARDS = torch.tensor([[1.0, 2.0, 6.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize(
    ("credit", "expected"),
    [
        (Credit(frames="mean"), [[3.0], [1 / 3]]),
        (Credit("prediction", "last"), [[6.0], [1.0]]),
        (Credit("prediction", "discount", 0.5), [[3.5 / 1.75], [0.25 / 1.75]]),
        (Credit("prediction", "discount", 1.0), [[3.0], [1 / 3]]),
        (Credit("frame"), [[3.0, 4.0, 6.0], [1 / 3, 0.5, 1.0]]),
        (Credit("frame", "last"), [[6.0] * 3, [1.0] * 3]),
        (
            Credit("frame", "discount", 0.5),
            [[2.0, 5 / 1.5, 6.0], [1 / 7, 0.5 / 1.5, 1.0]],
        ),
    ],
)
def test_returns_by_hand(credit, expected):
    torch.testing.assert_close(credit.returns(REWARDS), torch.tensor(expected))


def test_a_token_is_trained_on_the_patches_around_its_own():
    rewards = torch.zeros(1, 2, 4, 4)
    rewards[0, 0, 0, 0], rewards[0, 1, 2, 2] = 4.0, 9.0
    credit = Credit("patch", "discount", 0.5)
    first, second = credit.returns(rewards).view(2, 4, 4)
    assert second[2, 2] == 1
    assert second[1, 1] == 1
    assert second[3, 3] == 9 / 4
    assert second[0].eq(0).all()
    assert second[:, 0].eq(0).all()
    torch.testing.assert_close(first[0, 0], torch.tensor(4 / 4 / 1.5))
    torch.testing.assert_close(first[1, 1], torch.tensor((4 / 9 + 0.5 * 1) / 1.5))
    torch.testing.assert_close(credit.worth(rewards), torch.tensor([(4 + 0.5 * 9) / 1.5 / 16]))


def test_rewards_are_asked_for_as_finely_as_credit_needs_them():
    grid = (4, 5)
    assert Credit().detail(grid) == WHOLE
    assert Credit(frames="last").detail(grid) == Credit("frame").detail(None) == Detail("frame")
    assert Credit("patch").detail(grid) == Detail("patch", grid)
    with pytest.raises(ValueError, match="`to: patch` is for codecs whose tokens lie in a grid"):
        Credit("patch").detail(None)


def test_rewards_of_whole_predictions_are_their_own_returns():
    rewards = torch.tensor([2.0, 3.0])
    assert torch.equal(Credit().worth(rewards), rewards)
    assert torch.equal(Credit().returns(rewards), rewards[:, None])


def test_each_token_takes_the_value_of_its_frame():
    mask = torch.tensor([[0, 0, 1, 1, 0, 1, 1, 0], [0, 1, 1, 0, 0, 0, 1, 1]]).bool()
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    expected = torch.tensor([[0, 0, 1, 1, 0, 2, 2, 0], [0, 3, 3, 0, 0, 0, 4, 4.0]])
    assert torch.equal(per_token(values, mask), expected)


def test_a_discount_out_of_range_is_named():
    with pytest.raises(ValueError, match="discount must be above 0 and at most 1, got 0"):
        Credit("prediction", "discount", 0)
