import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MeanAbsoluteError, MeanSquaredError
from torchmetrics.image import PeakSignalNoiseRatio

from rlvr_world.reward import Reward, RewardSet
from rlvr_world.types import Detail
from rlvr_world.video.lpips.lpips import PerceptualDistance
from rlvr_world.video.rewards.frames import LPIPS, MAE, MSE, PSNR, SSIM, PyramidMSE


def frames(seed: int, shape: tuple[int, ...] = (3, 2, 3, 33, 40)) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def ssim_by_windows(a: Tensor, b: Tensor) -> float:
    """Wang et al. (2004) for one channel [H, W], one window after the other, in float64."""
    line = torch.exp(-((torch.arange(11) - 5.0) ** 2) / (2 * 1.5**2)).double()
    window = torch.outer(line, line) / line.sum() ** 2
    a, b = (x.double().unfold(0, 11, 1).unfold(1, 11, 1) for x in (a, b))  # [h, w, 11, 11]
    mean_a, mean_b = ((window * x).sum((-2, -1)) for x in (a, b))
    centred_a, centred_b = a - mean_a[..., None, None], b - mean_b[..., None, None]
    var_a, var_b = ((window * x**2).sum((-2, -1)) for x in (centred_a, centred_b))
    covariance = (window * centred_a * centred_b).sum((-2, -1))
    luminance = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
    return (luminance * (2 * covariance + 9e-4) / (var_a + var_b + 9e-4)).mean().item()


@pytest.mark.parametrize(
    ("reward", "reference"), [(MAE, MeanAbsoluteError), (MSE, MeanSquaredError)]
)
def test_errors_equal_torchmetrics_for_each_sample(reward, reference):
    prediction, target = frames(0), frames(1)
    expected = torch.stack([reference()(p, t) for p, t in zip(prediction, target, strict=True)])
    torch.testing.assert_close(reward().score(prediction, target), expected)


def test_a_pyramid_costs_less_the_nearer_a_thing_is_to_its_place():
    def at(column):
        frame = torch.zeros(1, 1, 3, 32, 32)
        frame[..., 12:16, column : column + 4] = 1
        return frame

    def cost(metric, distance):
        return np.mean([metric.score(at(x + distance), at(x)).item() for x in range(8)])

    distances = [cost(PyramidMSE(), distance) for distance in (0, 4, 8, 20)]
    assert distances == sorted(distances)
    assert distances[0] == 0 < 1.2 * distances[1] < distances[2]
    plain = [cost(MSE(), distance) for distance in (4, 8, 20)]
    assert plain == pytest.approx([plain[0]] * 3)
    torch.testing.assert_close(PyramidMSE(levels=1).score(at(8), at(4)).item(), plain[0])
    halves = F.avg_pool2d(at(8)[0] - at(4)[0], 2).square().mean().item()
    assert PyramidMSE(levels=2).score(at(8), at(4)).item() == pytest.approx(plain[0] + 2 * halves)
    with pytest.raises(ValueError, match="lower levels"):
        PyramidMSE(levels=7).score(at(4), at(4))


def test_psnr_is_averaged_over_frames_and_capped():
    prediction, target = frames(0), frames(1)
    scores = PSNR().score(prediction, target)
    for score, p, t in zip(scores, prediction, target, strict=True):
        one = [PeakSignalNoiseRatio(data_range=1.0)(*pair) for pair in zip(p, t, strict=True)]
        torch.testing.assert_close(score, torch.stack(one).mean(), atol=1e-4, rtol=0)
    half = torch.full((1, 2, 3, 16, 16), 0.5)
    half_wrong = torch.stack([half[:, 0], half[:, 0] + 0.1], dim=1)
    torch.testing.assert_close(PSNR().score(half, half), torch.tensor([80.0]))
    expected = (80 - 10 * math.log10(0.01 + 1e-8)) / 2
    torch.testing.assert_close(PSNR().score(half_wrong, half), torch.tensor([expected]))


def test_ssim_is_the_mean_over_windows_within_the_frame():
    target = frames(1)
    prediction = 0.7 * target + 0.3 * frames(0)
    scores = SSIM().score(prediction, target)
    for score, p, t in zip(scores, prediction, target, strict=True):
        planes = zip(p.flatten(0, 1), t.flatten(0, 1), strict=True)
        expected = sum(ssim_by_windows(a, b) for a, b in planes) / 6
        assert score.item() == pytest.approx(expected, abs=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(SSIM().score(prediction, target), scores)


def test_lpips_is_averaged_over_frames_whatever_the_chunk():
    prediction, target = frames(0, (4, 3, 3, 32, 32)), frames(1, (4, 3, 3, 32, 32))
    distance = PerceptualDistance("st-alex")
    expected = torch.stack([distance(p, t).mean() for p, t in zip(prediction, target, strict=True)])
    for chunk in (1, 5, 32):
        reward = LPIPS(chunk=chunk)
        torch.testing.assert_close(reward.score(prediction, target), expected)
        shared = reward.scores(prediction, target[:2], {})
        repeated = reward.score(prediction, target[:2].repeat_interleave(2, dim=0))
        torch.testing.assert_close(shared, repeated)
    assert not reward.score(prediction, target).requires_grad


def test_lpips_of_all_pairs_is_that_of_each_pair():
    clips, given = frames(2, (6, 2, 3, 33, 40)), {"key": ["a", "b"]}
    found = LPIPS(chunk=5).mutual(clips, clips, given)
    assert found.shape == (2, 3, 3)
    torch.testing.assert_close(found, Reward.mutual(LPIPS(), clips, clips, given))


def test_lpips_passes_a_shared_target_through_the_trunk_once(monkeypatch):
    passed = []
    features = PerceptualDistance.features
    monkeypatch.setattr(
        PerceptualDistance, "features", lambda self, x: passed.append(len(x)) or features(self, x)
    )
    LPIPS(chunk=4).scores(frames(0, (8, 1, 3, 32, 32)), frames(1, (2, 1, 3, 32, 32)), {})
    assert passed == [4, 1, 4, 1]


@pytest.mark.parametrize("reward", [MAE(), MSE(), PSNR(), SSIM(), LPIPS()])
def test_the_mean_over_patches_is_the_score_of_the_frame(reward):
    prediction, target = frames(0, (4, 2, 3, 64, 64)), frames(1, (2, 2, 3, 64, 64))
    patches = reward.scores(prediction, target, {}, Detail("patch", (3, 5)))
    assert patches.shape == (4, 2, 3, 5)
    expected = reward.scores(prediction, target, {}, Detail("frame"))
    torch.testing.assert_close(patches.mean((2, 3)), expected, rtol=0.05, atol=0)


@pytest.mark.parametrize("reward", [MAE(), MSE(), LPIPS()])
def test_an_error_counts_at_its_patch(reward):
    target = frames(1, (1, 1, 3, 64, 64))
    prediction = target.clone()
    prediction[..., 2:14, 50:62] = 0.5
    patches = reward.scores(prediction, target, {}, Detail("patch", (4, 4)))[0, 0]
    assert patches.flatten().argmax() == 3
    assert patches[0, 3] > 0.5 * patches.sum()
    assert patches[3, 0] < 1e-3 * patches.sum()


def test_labels_and_directions():
    labels = [reward().label for reward in (MAE, MSE, PSNR, SSIM, LPIPS)]
    assert labels == ["MAE", "MSE", "PSNR", "SSIM", "LPIPS (ST-alex)"]
    assert LPIPS("st-vgg").label == "LPIPS (ST-VGG)"
    assert [r.higher_is_better for r in (MAE, MSE, PSNR, SSIM, LPIPS)] == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_reward_set_is_the_signed_weighted_sum():
    rewards = RewardSet({"mae": MAE(weight=2.0), "psnr": PSNR(weight=0.5), "mse": MSE(weight=0.0)})
    scores = {"mae": torch.tensor([0.25]), "psnr": torch.tensor([20.0]), "mse": torch.tensor([9.0])}
    assert rewards.total(scores).tolist() == [0.5 * 20.0 - 2.0 * 0.25]
    prediction, target = frames(0), frames(1)
    scored = rewards.scores(prediction, target, {})
    torch.testing.assert_close(scored["psnr"], PSNR().score(prediction, target))
    assert set(scored) == {"mae", "psnr", "mse"}
    assert not RewardSet()


def test_bfloat16_frames_are_scored_in_float32():
    prediction, target = frames(0).bfloat16(), frames(1).bfloat16()
    for reward in (MAE(), SSIM(), LPIPS()):
        scores = reward.score(prediction, target)
        assert scores.dtype == torch.float32
        torch.testing.assert_close(scores, reward.score(prediction.float(), target.float()))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x.where(x < 0.9, torch.nan), r"prediction must hold floats in \[0, 1\].* nan"),
        (lambda x: x + 0.5, r"prediction must hold floats in \[0, 1\]"),
        (lambda x: (255 * x).byte(), r"prediction must hold floats in \[0, 1\], found torch.uint8"),
        (lambda x: x[:, 0], r"must both be \[B, F, C, H, W\]"),
        (lambda x: x[..., :20], r"must both be \[B, F, C, H, W\]"),
    ],
)
@pytest.mark.parametrize("reward", [MAE, LPIPS])
def test_unusable_frames_raise_and_never_score(reward, spoil, message):
    with pytest.raises(ValueError, match=f"{reward.__name__}.*: .*{message}"):
        reward().score(spoil(frames(0)), frames(1))


@pytest.mark.parametrize("reward", [MAE, LPIPS])
def test_predictions_that_share_no_target_evenly_are_refused(reward):
    with pytest.raises(ValueError, match="2 predictions for 3 targets"):
        reward().score(frames(0)[:2], frames(1))


def test_small_frames_are_named():
    small = frames(0, (1, 1, 3, 10, 64))
    with pytest.raises(ValueError, match="at least 11 x 11"):
        SSIM().score(small, small)
