import pytest
import torch
from torch import nn

from rlvr_world.video.tokenizer.discriminator import (
    PatchDiscriminator,
    discriminator_hinge_loss,
    generator_hinge_loss,
    gradient_penalty,
)


def test_depth_six_has_the_published_number_of_parameters_and_logits():
    with torch.device("meta"):
        discriminator = PatchDiscriminator()
        logits = discriminator(torch.empty(2, 3, 256, 320))
    assert logits.shape == (2, 1, 4, 5)
    assert sum(p.numel() for p in discriminator.parameters()) == 6_271_105


def test_the_convolutions_have_spectral_norm_one():
    discriminator = PatchDiscriminator([8, 16])
    for _ in range(50):  # each reading in training is one power iteration
        weight = discriminator[0].weight.flatten(1)
    assert torch.linalg.matrix_norm(weight, ord=2).item() == pytest.approx(1, abs=0.05)


def test_hinge_losses_by_hand():
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.0])
    assert discriminator_hinge_loss(real, fake).item() == pytest.approx(0.25 + 0.5)
    assert generator_hinge_loss(fake).item() == pytest.approx(1.5)


def test_the_gradient_penalty_of_a_linear_map_is_the_distance_of_its_norm_from_one():
    linear = nn.Sequential(nn.Flatten(), nn.Linear(12, 1, bias=False))
    penalty = gradient_penalty(linear, torch.rand(5, 3, 2, 2))
    expected = (linear[1].weight.norm() - 1) ** 2
    torch.testing.assert_close(penalty, expected)
    penalty.backward()
    assert linear[1].weight.grad.abs().sum() > 0


def test_the_gradient_penalty_reaches_the_weights_of_the_discriminator():
    discriminator = PatchDiscriminator([8, 16])
    gradient_penalty(discriminator, torch.rand(2, 3, 16, 16)).backward()
    assert discriminator[0].parametrizations.weight.original.grad.abs().sum() > 0


def test_frames_too_small_for_the_depth_are_refused():
    with pytest.raises(ValueError, match=r"64 x 64 pixels are too small .* depth 6"):
        PatchDiscriminator()(torch.rand(1, 3, 64, 64))
