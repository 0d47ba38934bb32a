import pytest
import torch

from rlvr_world.reward import RewardSet
from rlvr_world.types import Detail
from rlvr_world.video.rewards.frames import LPIPS, MAE, MSE
from rlvr_world.video.rewards.motion import (
    FrameDifferenceError,
    MotionError,
    MovingMSE,
    Repetition,
    Standstill,
    motion,
)


def square_at(*columns, rows=1):
    """Clips of one white 4 x 4 square on black 16 x 16, at a column of each frame."""
    clip = torch.zeros(rows, len(columns), 3, 16, 16)
    for frame, column in enumerate(columns):
        clip[:, frame, :, 4:8, column : column + 4] = 1
    return clip


def test_repetition_by_hand():
    prediction = torch.cat([square_at(0, 0, 4, 4), square_at(0, 4, 8, 8), square_at(0, 4, 8, 12)])
    target = square_at(0, 4, 8, 12, rows=3)
    every, last = Repetition(), Repetition(pairs="last")
    assert every.score(prediction, target).tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert last.score(prediction, target).tolist() == [1, 1, 0]
    assert every.frame_scores(prediction, target)[0].tolist() == [0, 1, 0, 1]
    assert (every.label, last.label) == ("Repetition (all)", "Repetition (last)")
    assert not every.higher_is_better


def test_a_change_above_rounding_is_no_repetition():
    prediction = square_at(0, 0)
    prediction[:, 1, 0, 0, 0] += 0.004
    assert Repetition().score(prediction, prediction).item() == 1
    prediction[:, 1, 0, 0, 0] += 0.004
    assert Repetition().score(prediction, prediction).item() == 0


def test_standing_still_counts_only_where_the_truth_moves():
    truth = square_at(0, 4, 4, 8)
    assert Standstill().score(square_at(0, 0, 0, 0), truth).item() == pytest.approx(2 / 3)
    assert Standstill().score(truth, truth).item() == 0
    assert Standstill().score(square_at(0, 0, 0, 4), truth).item() == pytest.approx(1 / 3)
    almost = square_at(0, 0, 0, 0)
    almost[:, 1, :, 12:] += 0.004
    assert Standstill().score(almost, truth).item() == pytest.approx(2 / 3)


def test_the_difference_error_ignores_what_is_wrong_with_all_frames():
    truth = square_at(0, 4)
    change = truth.diff(dim=1).abs().mean().item()
    error = FrameDifferenceError()
    assert error.score(truth * 0 + 0.3, truth).item() == pytest.approx(change)
    assert error.score(truth * 0.5 + 0.2, truth * 0.5).item() == pytest.approx(0, abs=1e-6)
    assert error.score(truth * 0.5 + 0.2, truth).item() == pytest.approx(change / 2)


def test_motion_error_is_one_for_motion_in_other_places_and_forgives_a_patch():
    truth = square_at(0, 4)  # moves within the upper left patch of 8 x 8
    error = MotionError(floor=0.0)
    assert error.score(truth, truth).item() == 0
    assert error.score(square_at(4, 0), truth).item() == 0
    assert error.score(square_at(8, 12), truth).item() == 1
    assert error.score(square_at(0, 0), truth).item() == 1
    assert motion(truth, 8)[0, 0].tolist() == [[0.5, 0], [0, 0]]
    noise = 1e-4 * torch.rand(1, 2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    still = torch.zeros(1, 2, 3, 16, 16)
    assert MotionError().score(still + noise, still).item() < 0.05


@pytest.mark.parametrize("reward", [Repetition(), Standstill(), MotionError()])
def test_one_frame_has_no_pairs(reward):
    with pytest.raises(ValueError, match="needs at least 2 predicted frames"):
        reward.score(torch.zeros(1, 1, 3, 16, 16), torch.zeros(1, 1, 3, 16, 16))


@pytest.mark.parametrize("reward", [MAE(), LPIPS(), FrameDifferenceError(), Repetition()])
def test_scores_of_frames_agree_with_scores_of_groups(reward):
    random = torch.Generator().manual_seed(0)
    prediction = torch.rand(4, 3, 3, 32, 32, generator=random)
    target = torch.rand(2, 3, 3, 32, 32, generator=random)
    frames = reward.scores(prediction, target, {}, Detail("frame"))
    assert frames.shape == (4, 3)
    scored = frames[:, 1:] if isinstance(reward, FrameDifferenceError | Repetition) else frames
    torch.testing.assert_close(scored.mean(1), reward.scores(prediction, target, {}))
    expected = reward.frame_scores(prediction[2:3], target[1:2])
    torch.testing.assert_close(frames[2:3], expected)


def test_a_set_of_rewards_adds_up_frame_by_frame():
    rewards = RewardSet({"mae": MAE(), "mse": MSE(weight=2.0)})
    prediction, target = torch.rand(2, 3, 3, 16, 16), torch.rand(1, 3, 3, 16, 16)
    scores = rewards.scores(prediction, target, {}, Detail("frame"))
    expected = -(scores["mae"] + 2 * scores["mse"])
    torch.testing.assert_close(rewards.total(scores), expected)


def clip(first, *later):
    """Grey frames [1, F, 3, 8, 8], and as a batch the one before them."""
    frames = torch.stack([torch.full((3, 8, 8), value) for value in (first, *later)])[None]
    actions = torch.zeros(1, frames.shape[1], 2)
    return frames[:, 1:].clone(), {"frames": (frames * 255).round().byte(), "actions": actions}


def test_moving_mse_looks_where_the_truth_changes():
    target, given = clip(0.2, 0.2, 0.2)
    target[0, 0, :, :2, :2] = 1.0  # 4 of 64 pixels move in the first frame, none in the second
    wrong = target.clone()
    wrong[0, 0, :, :2, :2] = 0.5
    wrong[0, :, :, 4:] = 0.7  # an error where nothing moves
    by_frame = MovingMSE().scores(wrong, target, given, Detail("frame"))
    torch.testing.assert_close(by_frame, torch.tensor([[0.25, 0.0]]))
    torch.testing.assert_close(MovingMSE().score(wrong, target, given), torch.tensor([0.125]))
    still = MovingMSE().score(target, target, given)
    assert still.tolist() == [0.0]
    patches = MovingMSE().scores(wrong, target, given, Detail("patch", (4, 4)))
    torch.testing.assert_close(patches.mean(dim=(-2, -1)), by_frame)
    assert patches[0, 0, 0, 0] == pytest.approx(16 * 0.25)


def test_moving_mse_needs_the_given_frames_only():
    target, given = clip(0.2, 0.2, 0.6)
    wrong = target + 0.1
    alone = given | {"frames": given["frames"][:, :1]}
    expected = MovingMSE().score(wrong, target, given)
    assert torch.equal(MovingMSE().score(wrong, target, alone), expected)
    torch.testing.assert_close(expected, torch.tensor([0.005]))


def test_moving_mse_says_what_it_needs():
    target, _ = clip(0.2, 0.2)
    with pytest.raises(ValueError, match="looks at the given frames and actions, which are not"):
        MovingMSE().score(target, target, {})


def test_moving_mse_shares_a_target_among_a_group():
    target, given = clip(0.0, 0.5)
    both = torch.cat([target, target - 0.1])
    torch.testing.assert_close(MovingMSE().scores(both, target, given), torch.tensor([0.0, 0.01]))
