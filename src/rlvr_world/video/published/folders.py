"""Folders of published checkpoints, ``config.json`` beside safetensors: read and written.

Tokenizers are named as the blocks of ``diffusers``, transformers as ``transformers`` has them. All
published weights are views of our parameters, so that one table serves both directions.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from rlvr_world.files import read_json, whole, write_json
from rlvr_world.modules.trusted import check_depth
from rlvr_world.nn.transformer import Transformer
from rlvr_world.video.published.configs import (
    COMPRESSIVE,
    FRAME,
    LLAMA,
    PublishedModel,
    from_published_config,
    published_config,
    published_kind,
)
from rlvr_world.video.tokenizer.autoencoder import Decoder, Encoder, ResidualBlock, SelfAttention
from rlvr_world.video.tokenizer.compressive import CompressiveVQModel
from rlvr_world.video.tokenizer.conditional import Conditional
from rlvr_world.video.tokenizer.vq_model import VQModel

_DERIVED = re.compile(
    r"(dynamics_)?quantize\.(_levels|_basis|implicit_codebook)"
    r"|model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq"
)
"""Tensors that follow from the settings: what a quantiser and rotary positions work with."""

STEMS = {
    FRAME: "diffusion_pytorch_model",
    COMPRESSIVE: "diffusion_pytorch_model",
    LLAMA: "model",
}
"""The names of the files of weights by the kind of model."""

_FLOATS = {"F64", "F32", "F16", "BF16"}


class Weight(NamedTuple):
    """Where a published tensor lies in one of our models."""

    view: Tensor  # of our parameter, with the elements in the published order
    shape: tuple[int, ...]  # of the published tensor


Weights = Iterator[tuple[str, Weight]]


def read_published(folder: Path) -> PublishedModel:
    """The model in a folder of a published checkpoint, in float32 on the CPU.

    Args:
        folder: Holds ``config.json`` and ``diffusion_pytorch_model.safetensors`` (a tokenizer) or
            ``model.safetensors`` (a transformer), or the index of such a file and its parts.

    Raises:
        FileNotFoundError: A file is not there.
        ValueError: A file is broken, or does not hold just the weights that the config asks for.
    """
    file = folder / "config.json"
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such file; give the folder of a published checkpoint")
    config = _read_json(file)
    main, parts = _files(folder, published_kind(config, file))
    there = [each for part in parts for each in _described(part)]
    check_depth(config, len(there), str(file))
    with torch.device("meta"):  # until the weights that are there are those it asks for
        model = from_published_config(config, file)
    weights = published_weights(model)
    for part, name, shape, dtype in there:
        _check(part, name, shape, dtype, weights)
    if left := weights.keys() - {name for _, name, *_ in there}:
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        raise ValueError(
            f"{main}: lacks {min(left)}{more}, which {file.name} asks for; download both again"
        )
    model.to_empty(device="cpu")
    weights = published_weights(model)
    with torch.no_grad():
        for part, name, *_ in there:
            with safe_open(part, "pt") as opened:
                tensor = opened.get_tensor(name)
            weights[name].view.copy_(tensor.reshape(weights[name].view.shape))
    return model.eval()


def write_published(model: PublishedModel, folder: Path) -> None:
    """Write a model as it would have been published; ``read_published`` reads it.

    Raises:
        ValueError: The published classes lack one of the model's settings.
    """
    config = published_config(model)
    tensors = {
        name: weight.view.detach().clone(memory_format=torch.contiguous_format).view(weight.shape)
        for name, weight in published_weights(model).items()
    }
    with whole(folder / f"{STEMS[published_kind(config, folder)]}.safetensors") as file:
        save_file(tensors, file, metadata={"format": "pt"})
    write_json(folder / "config.json", dict(sorted(config.items())))


def _files(folder: Path, kind: str) -> tuple[Path, list[Path]]:
    single = folder / f"{STEMS[kind]}.safetensors"
    index = folder / f"{single.name}.index.json"
    if single.is_file() or not index.is_file():
        parts = [single]
    else:
        names = _read_json(index).get("weight_map")
        if not isinstance(names, dict) or not all(isinstance(n, str) for n in names.values()):
            raise ValueError(f"{index}: not an index of safetensors, it has no weight_map")
        parts = [folder / Path(name).name for name in sorted(set(names.values()))]
    for part in parts:
        if not part.is_file():
            raise FileNotFoundError(f"{part}: no such file; download the safetensors of this model")
    return (single if parts == [single] else index), parts


def _described(file: Path) -> Iterator[tuple[Path, str, tuple[int, ...], str]]:
    """The file, and name, shape and type of each tensor in it that is read."""
    try:
        with safe_open(file, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118
                if not _DERIVED.fullmatch(name):
                    part = opened.get_slice(name)
                    yield file, name, tuple(part.get_shape()), part.get_dtype()
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{file}: not readable as safetensors; download it again") from error


def _check(
    file: Path, name: str, shape: tuple[int, ...], dtype: str, weights: dict[str, Weight]
) -> None:
    if name not in weights:
        raise ValueError(
            f"{file}: has {name}, which config.json does not ask for; both must be of one model"
        )
    if shape != weights[name].shape:
        raise ValueError(
            f"{file}: {name} has the shape {list(shape)}, but by config.json it is "
            f"{list(weights[name].shape)}; both must be of one model"
        )
    if dtype not in _FLOATS:
        raise ValueError(f"{file}: {name} is of the type {dtype}, not a float; take another copy")


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = read_json(file)
    except ValueError as error:
        raise ValueError(f"{file}: not readable as JSON; download it again") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file}: holds no settings; download it again")
    return content


def published_weights(model: PublishedModel) -> dict[str, Weight]:
    """All weights of a model by their published names."""
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
