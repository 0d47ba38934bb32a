import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import nn

from rlvr_world.video.clip_distance import (
    TRUTH,
    ClipFeatures,
    FrechetClipDistance,
    distance,
)


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
    assert distance(a, b) == pytest.approx(frechet(a, b), rel=1e-4)
    assert distance(a, a) == pytest.approx(0, abs=1e-4)


def test_cells_are_over_seeds_and_leave_the_truth_out():
    clips = torch.rand(6, 2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    column = FrechetClipDistance(Corner(), label="corner")
    for part in clips.split(4):
        column.add(TRUTH, part, seeds=1)
        column.add("copy", part, seeds=1)
        shifted = torch.stack([part + 1, part + 3], dim=1).flatten(0, 1)  # seeds are neighbours
        column.add("model", shifted, seeds=2)
    cells = column.cells()
    assert set(cells) == {"copy", "model"}
    assert cells["copy"].mean == pytest.approx(0, abs=1e-4)
    assert cells["copy"].std == 0
    assert cells["model"].mean == pytest.approx((2 * 1 + 2 * 9) / 2, rel=1e-3)
    assert cells["model"].std == pytest.approx(16 / 2**0.5, rel=1e-3)


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
