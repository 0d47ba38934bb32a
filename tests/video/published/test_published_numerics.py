"""What published weights compute, beside the published layers written out and beside diffusers."""

import shutil

import published
import pytest
import torch
from published import COMPRESSIVE, FRAME, SMALL_CLIPS, SMALL_FRAME, SMALL_LLAMA
from published_shapes import shapes
from safetensors.torch import load_file
from torch.nn import functional as F
from transformers import AutoModelForCausalLM

from rlvr_world.video.published.folders import read_published, write_published
from rlvr_world.video.tokenizer.autoencoder import ResidualBlock, SelfAttention


@pytest.fixture
def frame_tokenizer(tmp_path):
    """A small one, and the weights that it was read from."""
    weights = published.random_weights(SMALL_FRAME)
    return read_published(published.write(tmp_path, SMALL_FRAME, weights)), weights


class Layers:
    """Published layers, written out."""

    def __init__(self, weights, prefix):
        self.weights, self.prefix = weights, prefix

    def pair(self, name):
        return [self.weights[f"{self.prefix}.{name}.{part}"] for part in ("weight", "bias")]

    def residual(self, x):
        y = F.conv2d(F.silu(F.group_norm(x, 32, *self.pair("norm1"), 1e-6)),
                     *self.pair("conv1"), padding=1)  # fmt: skip
        y = F.conv2d(F.silu(F.group_norm(y, 32, *self.pair("norm2"), 1e-6)),
                     *self.pair("conv2"), padding=1)  # fmt: skip
        changes = f"{self.prefix}.conv_shortcut.weight" in self.weights
        return y + (F.conv2d(x, *self.pair("conv_shortcut")) if changes else x)

    def attention(self, x):
        rows = F.group_norm(x, 32, *self.pair("group_norm"), 1e-6).flatten(2).transpose(1, 2)
        query, key, value = (F.linear(rows, *self.pair(f"to_{name}")) for name in "qkv")
        shares = (query @ key.transpose(1, 2) / x.shape[1] ** 0.5).softmax(dim=-1)
        mixed = F.linear(shares @ value, *self.pair("to_out.0"))
        return x + mixed.transpose(1, 2).reshape(x.shape)


@torch.no_grad()
def test_residual_blocks_compute_what_their_names_say(frame_tokenizer):
    model, weights = frame_tokenizer
    names = ["down_blocks.0", "down_blocks.1", "down_blocks.2", "mid_block"]
    blocks = [m for m in model.encoder.modules() if isinstance(m, ResidualBlock)]
    assert len(blocks) == 5
    for name, block in zip(names, blocks, strict=False):
        x = torch.randn(2, block.layers[2].in_channels, 8, 10)
        expected = Layers(weights, f"encoder.{name}.resnets.0").residual(x)
        torch.testing.assert_close(block(x), expected, atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_attention_computes_what_its_names_say(frame_tokenizer, part):
    model, weights = frame_tokenizer
    (layer,) = [m for m in getattr(model, part).modules() if isinstance(m, SelfAttention)]
    x = torch.randn(2, 64, 8, 10)
    expected = Layers(weights, f"{part}.mid_block.attentions.0").attention(x)
    torch.testing.assert_close(layer(x), expected, atol=1e-4, rtol=0)


def test_the_patches_of_a_code_are_flattened_as_published(tmp_path):
    """Row, column, channel: what the published linear maps read and write."""
    weights = published.random_weights(SMALL_CLIPS)
    model = read_published(published.write(tmp_path, SMALL_CLIPS, weights))
    latents = torch.randn(1, 12, 4, 8)
    patches = latents.view(1, 12, 1, 4, 2, 4).permute(0, 2, 4, 3, 5, 1).flatten(3)
    codes = F.linear(patches, weights["quant_linear.weight"], weights["quant_linear.bias"])
    torch.testing.assert_close(model.to_codes(latents), codes.movedim(-1, 1))
    back = F.linear(codes, weights["post_quant_linear.weight"], weights["post_quant_linear.bias"])
    back = back.view(1, 1, 2, 4, 4, 12).permute(0, 5, 1, 3, 2, 4).reshape(latents.shape)
    torch.testing.assert_close(model.from_codes(codes.movedim(-1, 1)), back)


def test_codes_are_numbered_as_published(tmp_path):
    """The first channel counts fastest: 1, 7, 35, 175, 875."""
    weights = published.random_weights(SMALL_FRAME)
    model = read_published(published.write(tmp_path, SMALL_FRAME, weights))
    steps = torch.tensor([[0, 1, 7, 35, 175, 875]])[:, None]  # of one level in one channel
    levels = model.quantizer.lookup(2187 + steps).squeeze() * torch.tensor([3, 2, 2, 2, 2])[:, None]
    assert torch.equal(levels.round(), torch.cat([torch.zeros(5, 1), torch.eye(5)], dim=1))


@pytest.mark.parametrize("again", [False, True])
def test_a_transformer_computes_what_transformers_does(again, tmp_path):
    folder = tmp_path / "source"
    published.write(folder, SMALL_LLAMA, published.random_weights(SMALL_LLAMA))
    model = read_published(folder)
    if again:
        shutil.rmtree(folder)
        write_published(model, folder)
    llama = AutoModelForCausalLM.from_pretrained(folder)
    assert (llama.config.bos_token_id, llama.config.eos_token_id) == (4631, 4632)
    ids = torch.randint(4633, (2, 40))
    torch.testing.assert_close(model.logits(model(ids)), llama(ids).logits, atol=1e-4, rtol=0)


def reference(name, config, folder):
    """The tokenizer out of blocks of diffusers, which are not installed with this package."""
    pytest.importorskip("diffusers", reason="diffusers is not installed")
    import diffusers_tokenizers

    model = getattr(diffusers_tokenizers, name)(config).eval()
    model.load_state_dict(load_file(next(folder.glob("*.safetensors"))))
    return model


@pytest.mark.parametrize(
    ("name", "config"), [("FrameTokenizer", FRAME), ("CompressiveTokenizer", COMPRESSIVE)]
)
def test_the_names_are_those_of_diffusers(name, config):
    pytest.importorskip("diffusers", reason="diffusers is not installed")
    import diffusers_tokenizers

    with torch.device("meta"):
        state = getattr(diffusers_tokenizers, name)(config).state_dict()
    assert {n: tuple(t.shape) for n, t in state.items()} == shapes(config)


@torch.no_grad()
def test_a_frame_tokenizer_computes_what_diffusers_does(tmp_path):
    config = SMALL_FRAME | {"layers_per_block": 2}
    published.write(tmp_path, config, published.random_weights(config))
    theirs, ours = reference("FrameTokenizer", config, tmp_path), read_published(tmp_path)
    frames = torch.rand(2, 3, 32, 40)
    latents = theirs.latents(frames)
    torch.testing.assert_close(ours.to_codes(ours.encoder(frames)), latents, atol=1e-4, rtol=0)
    quantized = ours.quantizer(latents)
    assert torch.equal(ours.encode(frames), quantized.indices)
    assert quantized.indices.unique().numel() > 20
    decoded = theirs.decode(quantized.codes)
    assert decoded.std() > 0.1
    torch.testing.assert_close(
        ours.decoder(ours.from_codes(quantized.codes)), decoded, atol=1e-4, rtol=0
    )


@torch.no_grad()
@pytest.mark.parametrize("attention", [False, True])
def test_a_compressive_tokenizer_computes_what_diffusers_does(attention, tmp_path):
    config = SMALL_CLIPS | {"mid_block_add_attention": attention}
    published.write(tmp_path, config, published.random_weights(config))
    theirs, ours = reference("CompressiveTokenizer", config, tmp_path), read_published(tmp_path)
    clip = torch.rand(4, 3, 64, 80)
    context, later = theirs.latents(clip[:1], clip[1:])
    later = later.transpose(1, 2).unflatten(2, ours.grid)
    context, later = ours.context_quantizer(context), ours.quantizer(later)
    codes = ours.encode(clip[None, 0], clip[None, 1:])
    assert torch.equal(codes.context, context.indices)
    assert torch.equal(codes.frames[0], later.indices)
    assert min(context.indices.unique().numel(), later.indices.unique().numel()) > 20
    first, frames = theirs.decode(context.codes, later.codes.flatten(2).transpose(1, 2))
    decoded = ours(clip[None]).frames[0]
    assert min(first.std(), frames.std()) > 0.1
    torch.testing.assert_close(decoded, torch.cat([first, frames]), atol=1e-4, rtol=0)
