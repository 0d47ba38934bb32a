import json

import pytest
import torch
from torch.nn import functional as F

from rlvr_world.video.tokenizer.autoencoder import Decoder, Encoder
from rlvr_world.video.tokenizer.compressive import ClipCodes, CompressiveVQModel
from rlvr_world.video.tokenizer.conditional import Conditional, CrossAttention
from rlvr_world.video.tokenizer.vq_model import VQModel

SMALL = {
    "frame_size": [32, 48],
    "channels": [8, 16],
    "levels": [5, 5],
    "context_levels": [5, 3, 3],
    "latent_channels": 8,
    "layers": 1,
    "patch_size": 2,
    "stem": 4,
    "attention_height": 4,
}


def small_model(**options):
    torch.manual_seed(0)
    return CompressiveVQModel(**SMALL | options)


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_default_is_the_published_size():
    with torch.device("meta"):
        model = CompressiveVQModel()
    millions = [
        round(parameters(part) / 1e6, 2)
        for part in (
            model,
            model.encoder,
            model.conditional_encoder,
            model.decoder,
            model.conditional_decoder,
        )
    ]
    assert millions == [129.45, 24.52, 28.85, 36.32, 39.74]
    assert (model.context_grid, model.grid) == ((32, 40), (8, 10))
    assert model.num_codes == model.num_context_codes == 4375
    attending = [len(part.taps) for part in (model.conditional_encoder, model.conditional_decoder)]
    assert attending == [2, 1]
    positions = {a.position.shape for a in model.conditional_encoder.attentions}
    assert positions == {(1280, 256), (1280, 512)}


def test_encode_and_decode_agree_with_the_reconstruction():
    model = small_model().eval()
    clips = torch.rand(2, 4, 3, 32, 48)
    reconstruction = model(clips)
    codes = model.encode(clips[:, 0], clips[:, 1:])
    assert codes.context.shape == (2, 4, 6)
    assert codes.frames.shape == (2, 3, 2, 3)
    assert torch.equal(codes.context, reconstruction.codes.context)
    assert torch.equal(codes.frames, reconstruction.codes.frames)
    expected = reconstruction.frames.clamp(0, 1)
    torch.testing.assert_close(model.decode(codes), expected[:, 1:])
    torch.testing.assert_close(model.decode_context(codes.context), expected[:, 0])


def test_each_frame_is_coded_on_its_own_given_the_context():
    model = small_model().eval()
    clips = torch.rand(2, 4, 3, 32, 48)
    together = model.encode(clips[:, 0], clips[:, 1:])
    alone = model.encode(clips[1:, 0], clips[1:, 2:3])
    assert torch.equal(together.frames[1, 1], alone.frames[0, 0])
    parts = ClipCodes(together.context[1:], together.frames[1:, 1:2])
    torch.testing.assert_close(model.decode(together)[1, 1], model.decode(parts)[0, 0])


def test_the_context_frame_reaches_the_later_frames():
    model = small_model().eval()
    codes = model.encode(torch.rand(1, 3, 32, 48), torch.rand(1, 2, 3, 32, 48))
    other = codes._replace(context=(codes.context + 1) % model.num_context_codes)
    assert (model.decode(codes) - model.decode(other)).abs().max() > 1e-3


def test_gradients_reach_every_weight_also_that_of_the_context_from_the_later_frames():
    model = small_model()
    model(torch.rand(2, 3, 3, 32, 48)).frames.square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    model.zero_grad()
    model(torch.rand(2, 3, 3, 32, 48)).frames[:, 1:].mean().backward()
    assert model.encoder[1].weight.grad.abs().sum() > 0
    assert model.to_context_codes.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("autocast", [False, True])
def test_every_code_of_both_codebooks_can_be_decoded(autocast):
    model = small_model(levels=[7, 5, 5, 5, 5], context_levels=[7, 5, 5, 5, 5]).eval()
    indices = torch.arange(4375)
    frames = indices.new_zeros(1, 730, 2, 3)
    frames.view(-1)[:4375] = indices
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        quantized = model.quantizer.lookup(frames.flatten(0, 1))
        again = model.quantizer(torch.atanh(quantized * bounds(model.quantizer.levels)))
    assert torch.equal(again.indices.flatten(), frames.flatten())


def bounds(levels):
    """What FSQ scales latents by before it rounds them."""
    half = torch.tensor([level // 2 / ((level - 1) * 1.001 / 2) for level in levels])
    return half.view(1, -1, 1, 1)


def test_cross_attention_equals_plain_softmax_per_frame():
    torch.manual_seed(0)
    attention = CrossAttention(8, 6, heads=2, dropout=0.1).eval()
    torch.nn.init.normal_(attention.position)
    torch.nn.init.normal_(attention.context_position)
    features, context = torch.randn(4, 8, 2, 3), torch.randn(2, 8, 2, 3)
    inner = attention.attention
    weights, biases = inner.in_proj_weight.chunk(3), inner.in_proj_bias.chunk(3)
    for row in range(4):
        query = attention.norm(features[row : row + 1])[0].flatten(1).T + attention.position
        key = attention.context_norm(context[row // 2][None])[0].flatten(1).T
        key = key + attention.context_position
        q, k, v = (
            F.linear(x, w, b).view(6, 2, 4).transpose(0, 1)
            for x, w, b in zip((query, key, key), weights, biases, strict=True)
        )
        mixed = torch.softmax(q @ k.transpose(1, 2) / 2, dim=-1) @ v
        mixed = inner.out_proj(mixed.transpose(0, 1).reshape(6, 8)).T.view(8, 2, 3)
        expected = F.silu(features[row] + mixed)
        torch.testing.assert_close(attention(features, context)[row], expected)


def test_attention_follows_the_blocks_that_are_low_enough():
    encoder = Encoder([8, 8, 16], 4, layers=1)
    assert [(tap.channels, tap.scale) for tap in encoder.taps] == [(8, 2), (8, 4), (16, 4)]
    decoder = Decoder([8, 8, 16], 4, layers=1, early=True)
    taps = [(16, 4), (16, 2), (8, 1), (8, 1)]
    assert [(tap.channels, tap.scale) for tap in decoder.taps] == taps
    sizes = [len(Conditional(encoder, (16, 16), height, 2, 0.0).taps) for height in (4, 8)]
    assert sizes == [2, 3]
    with pytest.raises(ValueError, match=r"attention_height is 3, but the lowest .* are 4 high"):
        Conditional(encoder, (16, 16), 3, 2, 0.0)


def test_sizes_that_do_not_fit_are_named():
    for size in ([32, 40], [32], [32, 0]):
        with pytest.raises(ValueError, match=r"height and width, each a multiple of the 16 pixels"):
            small_model(frame_size=size)
    with pytest.raises(ValueError, match=r"of 32 x 48 pixels .* got 2 of 32 x 32"):
        small_model().encode(torch.rand(1, 3, 32, 32), torch.rand(1, 1, 3, 32, 32))


def test_an_exported_folder_gives_the_same_model_and_no_other_kind(tmp_path):
    model = small_model().eval()
    model.export(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["kind"] == "compressive_vq_model"
    loaded = CompressiveVQModel.load(tmp_path)
    assert (loaded.config, loaded.fingerprint) == (model.config, model.fingerprint)
    with pytest.raises(ValueError, match="of the kind compressive_vq_model, but a vq_model is"):
        VQModel.load(tmp_path)
