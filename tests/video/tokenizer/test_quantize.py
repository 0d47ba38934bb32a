import copy

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

from rlvr_world.video.tokenizer.quantize import FiniteScalarQuantizer, check_codes

PAPER_LEVELS = [7, 5, 5, 5, 5]


def latents_of(codes):
    """Latents that the quantiser bounds to exactly the given codes."""
    half_width = torch.tensor([level // 2 for level in PAPER_LEVELS]).view(1, -1, 1, 1)
    half_range = torch.tensor([(level - 1) * 1.001 / 2 for level in PAPER_LEVELS]).view(1, -1, 1, 1)
    return torch.atanh(codes * half_width / half_range)


@pytest.mark.parametrize("autocast", [False, True])
def test_every_code_survives_the_round_trip(autocast):
    quantizer = FiniteScalarQuantizer(PAPER_LEVELS)
    indices = torch.arange(4375).view(1, 125, 35)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        codes = quantizer.lookup(indices)
        quantized = quantizer(latents_of(codes))
    assert quantizer.num_codes == 4375
    assert len(codes.flatten(2)[0].T.unique(dim=0)) == 4375
    assert quantized.indices.dtype == torch.long
    torch.testing.assert_close(quantized.indices, indices)
    torch.testing.assert_close(quantized.codes, codes)


def test_the_first_channel_is_the_lowest_digit_of_the_index():
    quantizer = FiniteScalarQuantizer(PAPER_LEVELS)
    codes = quantizer.lookup(torch.tensor([[[0, 1, 7, 4374]]]))
    torch.testing.assert_close(codes[0, :, 0, 0], torch.tensor([-1.0, -1, -1, -1, -1]))
    torch.testing.assert_close(codes[0, :, 0, 1], torch.tensor([-2 / 3, -1, -1, -1, -1]))
    torch.testing.assert_close(codes[0, :, 0, 2], torch.tensor([-1.0, -0.5, -1, -1, -1]))
    torch.testing.assert_close(codes[0, :, 0, 3], torch.tensor([1.0, 1, 1, 1, 1]))


def test_bfloat16_latents_are_quantised_in_float32():
    quantized = FiniteScalarQuantizer([8, 5])(torch.randn(2, 2, 4, 4, dtype=torch.bfloat16))
    assert quantized.codes.dtype == torch.float32


def test_the_gradient_passes_straight_through_the_rounding():
    latents = torch.randn(2, 2, 4, 4, requires_grad=True)
    FiniteScalarQuantizer([5, 5])(latents).codes.sum().backward()
    expected = (1 - torch.tanh(latents.detach()) ** 2) * 2.002 / 2
    torch.testing.assert_close(latents.grad, expected)


def test_normalisation_brings_a_collapsed_channel_back():
    latents = 0.01 * torch.randn(8, 2, 8, 8) + 3
    plain = FiniteScalarQuantizer([5, 5])
    normalized = FiniteScalarQuantizer([5, 5], normalize=True)
    assert plain(latents).indices.unique().numel() == 1
    assert normalized(latents).indices.unique().numel() == 25


def test_in_evaluation_the_normalisation_does_not_depend_on_the_batch():
    quantizer = FiniteScalarQuantizer([5, 5], normalize=True)
    quantizer(torch.randn(8, 2, 8, 8))
    quantizer.eval()
    latents = torch.randn(4, 2, 3, 3)
    torch.testing.assert_close(quantizer(latents).indices[:1], quantizer(latents[:1]).indices)


def test_a_moving_average_of_the_weights_leaves_the_levels_alone():
    quantizer = FiniteScalarQuantizer(PAPER_LEVELS, normalize=True)
    average = AveragedModel(
        copy.deepcopy(quantizer), avg_fn=get_ema_avg_fn(0.999), use_buffers=True
    )
    for _ in range(20):
        average.update_parameters(quantizer)
    indices = torch.arange(4375).view(1, 125, 35)
    torch.testing.assert_close(average.module.lookup(indices), quantizer.lookup(indices))


def test_an_index_without_a_code_is_refused():
    with pytest.raises(ValueError, match="from 0 to 24, got 3 to 25"):
        FiniteScalarQuantizer([5, 5]).lookup(torch.tensor([[[3, 25]]]))


@pytest.mark.parametrize("codes", [[-1, 3], [3, 25]])
def test_codes_are_checked_without_waiting_for_the_device(codes):
    check_codes(torch.tensor([[0, 24]]), 25, wait=False)
    check_codes(torch.zeros(0, dtype=torch.long), 25, wait=False)
    with pytest.raises(RuntimeError, match="codes must be from 0 to 24"):
        check_codes(torch.tensor([codes]), 25, wait=False)


@pytest.mark.parametrize("levels", [[], [5, 2]])
def test_levels_below_three_are_refused(levels):
    with pytest.raises(ValueError, match="levels"):
        FiniteScalarQuantizer(levels)


def test_inference_mode_does_not_poison_later_training():
    quantizer = FiniteScalarQuantizer([11, 7])
    with torch.inference_mode():
        quantizer(torch.randn(1, 2, 2, 2))
    latents = torch.randn(1, 2, 2, 2, requires_grad=True)
    quantizer(latents).codes.sum().backward()
    assert latents.grad.abs().sum() > 0
