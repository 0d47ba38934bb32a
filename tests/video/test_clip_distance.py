import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import nn

from rlvr_world.video.clip_distance import ClipFeatures, FrechetClipDistance


class Corner(nn.Module):
    """The first two values of each clip."""

    def forward(self, clips):
        return clips.flatten(1)[:, :2]


def frechet(a, b):
    """Dowson and Landau's formula with SciPy's matrix root."""
    a, b = a.double().numpy(), b.double().numpy()
    first, second = np.cov(a.T), np.cov(b.T)
    gap = np.square(a.mean(0) - b.mean(0)).sum()
    return gap + np.trace(first + second - 2 * sqrtm(first @ second).real)


def test_the_distance_equals_the_formula():
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(60, 4, generator=generator)
    b = 2 * torch.randn(80, 4, generator=generator) + torch.arange(4)
    distance = FrechetClipDistance(Corner()).distance
    assert distance(a, b) == pytest.approx(frechet(a, b), rel=1e-4)
    assert distance(a, a) == pytest.approx(0, abs=1e-4)


def test_it_compares_the_features_of_its_network():
    clips = torch.rand(6, 2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    column = FrechetClipDistance(Corner(), label="corner")
    true, shifted = column.features(clips), column.features(clips + 3)
    assert true.shape == (6, 2)
    assert column.distance(shifted, true) == pytest.approx(2 * 9, rel=1e-3)


def test_features_see_stillness_that_single_frames_do_not_show():
    frames = torch.rand(5, 1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    moving = torch.cat([frames, frames.roll(1, 0)], dim=1)
    still = frames.repeat(1, 2, 1, 1, 1)
    features = ClipFeatures().eval()
    with torch.no_grad():
        look, change = features(still).chunk(2, dim=1)
        assert look.shape == (5, 256)
        assert change.abs().max() == 0
        assert features(moving)[:, 256:].mean() > 0
