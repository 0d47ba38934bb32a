"""The weights of our models under the names that the published checkpoints give them.

Tokenizers are named as the blocks of ``diffusers``, transformers as ``transformers`` has them.
Everything is a view of our parameters, so that one table serves both directions.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple, cast

from torch import Tensor, nn

from rlvr_world.nn.transformer import Transformer
from rlvr_world.video.tokenizer.autoencoder import Decoder, Encoder, ResidualBlock, SelfAttention
from rlvr_world.video.tokenizer.compressive import CompressiveVQModel
from rlvr_world.video.tokenizer.conditional import Conditional
from rlvr_world.video.tokenizer.tokenizer_model import TokenizerModel
from rlvr_world.video.tokenizer.vq_model import VQModel

PublishedModel = TokenizerModel | Transformer
"""Our classes for what is published."""


class Weight(NamedTuple):
    """Where a published tensor lies in one of our models."""

    view: Tensor  # of our parameter, with the elements in the published order
    shape: tuple[int, ...]  # of the published tensor


Weights = Iterator[tuple[str, Weight]]


def published_weights(model: PublishedModel) -> dict[str, Weight]:
    """All weights of a model by their published names.

    Raises:
        TypeError: Nothing like the model is published.
    """
    if isinstance(model, Transformer):
        return {name: _plain(tensor) for name, tensor in model.to_transformers_state()}
    if isinstance(model, VQModel):
        return dict(_frame_tokenizer(model))
    if isinstance(model, CompressiveVQModel):
        return dict(_compressive_tokenizer(model))
    raise TypeError(f"no {type(model).__name__} is published")


def _frame_tokenizer(model: VQModel) -> Weights:
    yield from _coder("encoder", model.encoder)
    yield from _affine("quant_linear", model.to_codes)
    yield from _affine("post_quant_linear", model.from_codes)
    yield from _coder("decoder", model.decoder)


def _compressive_tokenizer(model: CompressiveVQModel) -> Weights:
    yield from _coder("encoder", model.encoder)
    yield from _coder("decoder", model.decoder)
    yield from _conditional("cond_encoder", model.conditional_encoder)
    yield from _conditional("cond_decoder", model.conditional_decoder)
    yield from _affine("quant_conv", model.to_context_codes)
    yield from _affine("post_quant_conv", model.from_context_codes)
    yield from _patches(model)


def _patches(model: CompressiveVQModel) -> Weights:
    """The maps between patches and codes, for patches flattened as (row, column, channel)."""
    read, side = model.to_codes, model.patch_size
    write = cast(nn.Conv2d, model.from_codes[0])
    codes, wide = len(read.weight), read.weight[0].numel()
    yield "quant_linear.weight", Weight(read.weight.permute(0, 2, 3, 1), (codes, wide))
    yield "quant_linear.bias", _plain(read.bias)
    squares = write.weight.view(-1, side, side, write.in_channels).permute(1, 2, 0, 3)
    yield "post_quant_linear.weight", Weight(squares, (wide, write.in_channels))
    squares = cast(Tensor, write.bias).view(-1, side, side).permute(1, 2, 0)
    yield "post_quant_linear.bias", Weight(squares, (wide,))


def _conditional(name: str, conditional: Conditional) -> Weights:
    yield from _coder(name, conditional.layers)
    for index, attention in enumerate(conditional.attentions):
        yield from _cross_attention(f"{name}.cross_att_blocks.{index}", attention)


def _cross_attention(name: str, block: Any) -> Weights:
    yield f"{name}.att.in_proj_weight", _plain(block.attention.in_proj_weight)
    yield f"{name}.att.in_proj_bias", _plain(block.attention.in_proj_bias)
    yield from _affine(f"{name}.att.out_proj", block.attention.out_proj)
    yield from _affine(f"{name}.q_norm", block.norm)
    yield from _affine(f"{name}.kv_norm", block.context_norm)
    yield f"{name}.q_pos_emb", _plain(block.position)
    yield f"{name}.kv_pos_emb", _plain(block.context_position)


def _coder(name: str, coder: Encoder | Decoder) -> Weights:
    """An encoder or decoder; behind each of its taps a block ends."""
    layers: list[Any] = list(coder)
    ends = [tap.layer for tap in coder.taps]
    if isinstance(coder, Encoder):
        block, sampler, ends = "down_blocks", "downsamplers", [1, *ends]
        _, first, *_, middle, norm, _, last = layers
    else:
        block, sampler = "up_blocks", "upsamplers"
        first, middle, *_, norm, _, last, _ = layers
    yield from _affine(f"{name}.conv_in", first)
    for index, (start, end) in enumerate(pairwise(ends)):
        inside = layers[start + 1 : end + 1]
        yield from _residuals(f"{name}.{block}.{index}", inside)
        for layer in inside:
            if isinstance(layer, nn.Conv2d):
                yield from _affine(f"{name}.{block}.{index}.{sampler}.0.conv", layer)
    yield from _residuals(f"{name}.mid_block", middle)
    for layer in middle:
        if isinstance(layer, SelfAttention):
            yield from _self_attention(f"{name}.mid_block.attentions.0", layer)
    yield from _affine(f"{name}.conv_norm_out", norm)
    yield from _affine(f"{name}.conv_out", last)


def _residuals(name: str, layers: Iterable[nn.Module]) -> Weights:
    blocks = [layer for layer in layers if isinstance(layer, ResidualBlock)]
    for index, block in enumerate(blocks):
        prefix = f"{name}.resnets.{index}"
        parts = ("norm1", None, "conv1", "norm2", None, "conv2")
        for part, layer in zip(parts, block.layers, strict=True):
            if part:
                yield from _affine(f"{prefix}.{part}", layer)
        if isinstance(block.shortcut, nn.Conv2d):
            yield from _affine(f"{prefix}.conv_shortcut", block.shortcut)


def _self_attention(name: str, layer: SelfAttention) -> Weights:
    yield from _affine(f"{name}.group_norm", layer.norm)
    for kind in ("weight", "bias"):
        tensors = (*getattr(layer.query_key_value, kind).chunk(3), getattr(layer.output, kind))
        for part, tensor in zip(("to_q", "to_k", "to_v", "to_out.0"), tensors, strict=True):
            yield f"{name}.{part}.{kind}", _plain(tensor.view(tensor.shape[:2]))


def _affine(name: str, layer: Any) -> Weights:
    yield f"{name}.weight", _plain(layer.weight)
    yield f"{name}.bias", _plain(layer.bias)


def _plain(tensor: Any) -> Weight:
    return Weight(tensor, tuple(tensor.shape))
