import pytest
import torch

from rlvr_world.rl.credit import FrameCredit, per_token

REWARDS = torch.tensor([[1.0, 2.0, 6.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize(
    ("credit", "expected"),
    [
        (FrameCredit(), [[3.0], [1 / 3]]),
        (FrameCredit("last"), [[6.0], [1.0]]),
        (FrameCredit("discount", 0.5), [[3.5 / 1.75], [0.25 / 1.75]]),
        (FrameCredit("discount", 1.0), [[3.0], [1 / 3]]),
        (FrameCredit(per_frame=True), [[3.0, 4.0, 6.0], [1 / 3, 0.5, 1.0]]),
        (FrameCredit("last", per_frame=True), [[6.0] * 3, [1.0] * 3]),
        (
            FrameCredit("discount", 0.5, per_frame=True),
            [[2.0, 5 / 1.5, 6.0], [1 / 7, 0.5 / 1.5, 1.0]],
        ),
    ],
)
def test_returns_by_hand(credit, expected):
    torch.testing.assert_close(credit.returns(REWARDS), torch.tensor(expected))


def test_a_token_is_trained_on_the_patches_around_its_own():
    rewards = torch.zeros(1, 2, 4, 4)
    rewards[0, 0, 0, 0], rewards[0, 1, 2, 2] = 4.0, 9.0
    credit = FrameCredit("discount", 0.5, per_frame=True, per_patch=True)
    first, second = credit.returns(rewards).view(2, 4, 4)
    assert second[2, 2] == 1
    assert second[1, 1] == 1
    assert second[3, 3] == 9 / 4
    assert second[0].eq(0).all()
    assert second[:, 0].eq(0).all()
    torch.testing.assert_close(first[0, 0], torch.tensor(4 / 4 / 1.5))
    torch.testing.assert_close(first[1, 1], torch.tensor((4 / 9 + 0.5 * 1) / 1.5))
    torch.testing.assert_close(credit.worth(rewards), torch.tensor([(4 + 0.5 * 9) / 1.5 / 16]))


def test_patches_need_frames():
    with pytest.raises(ValueError, match="it needs per_frame, too"):
        FrameCredit(per_patch=True)


def test_each_token_takes_the_value_of_its_frame():
    mask = torch.tensor([[0, 0, 1, 1, 0, 1, 1, 0], [0, 1, 1, 0, 0, 0, 1, 1]]).bool()
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    expected = torch.tensor([[0, 0, 1, 1, 0, 2, 2, 0], [0, 3, 3, 0, 0, 0, 4, 4.0]])
    assert torch.equal(per_token(values, mask), expected)


def test_a_discount_out_of_range_is_named():
    with pytest.raises(ValueError, match="discount must be above 0 and at most 1, got 0"):
        FrameCredit("discount", 0)
