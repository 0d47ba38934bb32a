import pytest
import torch

from rlvr_world.modules.scoring import check_whole
from rlvr_world.reward import RewardSet
from rlvr_world.types import WHOLE, Detail
from rlvr_world.video.rewards.energy import EnergyScore
from rlvr_world.video.rewards.frames import MAE, MSE, PSNR

GROUP = 3
PREDICTION = torch.rand((2 * GROUP, 2, 3, 8, 8), generator=torch.Generator().manual_seed(0))
TARGET = torch.rand((2, 2, 3, 8, 8), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("detail", [WHOLE, Detail("frame"), Detail("patch", (4, 4))])
def test_it_is_the_distance_to_the_truth_less_the_mean_distance_to_the_others(detail):
    found = EnergyScore(MSE()).scores(PREDICTION, TARGET, {}, detail)
    for row in range(len(PREDICTION)):
        first = row // GROUP * GROUP
        others = [each for each in range(first, first + GROUP) if each != row]

        def distance(other, row=row):
            return MSE().scores(PREDICTION[row][None], other[None], {}, detail)[0].sqrt()

        expected = distance(TARGET[row // GROUP])
        expected = expected - torch.stack([distance(PREDICTION[o]) for o in others]).mean(0)
        torch.testing.assert_close(found[row], expected)


def test_a_single_prediction_scores_its_distance():
    found = EnergyScore(MAE(), power=1.0).score(PREDICTION[:2], TARGET, {})
    torch.testing.assert_close(found, MAE().score(PREDICTION[:2], TARGET))


def test_members_that_are_alike_have_finite_gradients():
    alike = PREDICTION[:1].repeat(GROUP, 1, 1, 1, 1).requires_grad_()
    EnergyScore(MSE()).scores(alike, TARGET[:1], {}).sum().backward()
    assert alike.grad.isfinite().all()
    assert alike.grad.abs().sum() > 0


def test_parts_of_groups_and_similarities_are_refused():
    rewards = RewardSet({"mae": MAE(), "energy": EnergyScore(MAE())})
    check_whole(rewards, is_whole=True)
    with pytest.raises(
        ValueError, match=r"rewards\.energy: compares the members of a group; raise"
    ):
        check_whole(rewards, is_whole=False)
    with pytest.raises(ValueError, match="EnergyScore needs a distance, where smaller is better"):
        EnergyScore(PSNR())
