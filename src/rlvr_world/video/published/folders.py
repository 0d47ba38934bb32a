"""Folders of published checkpoints, ``config.json`` beside safetensors: read and written."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from rlvr_world.files import read_json, whole, write_json
from rlvr_world.nn.transformer import Transformer
from rlvr_world.video.published.configs import from_published_config, published_config
from rlvr_world.video.published.weights import PublishedModel, Weight, published_weights

_DERIVED = re.compile(
    r"(dynamics_)?quantize\.(_levels|_basis|implicit_codebook)"
    r"|model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq"
)
"""Tensors that follow from the settings: what a quantiser and rotary positions work with."""

_FLOATS = {"F64", "F32", "F16", "BF16"}


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
    with torch.device("meta"):
        model = from_published_config(_read_json(file), file)
    model.to_empty(device="cpu")
    weights = published_weights(model)
    left = set(weights)
    main, parts = _files(folder, _stem(model))
    for part in parts:
        for name, tensor in _tensors(part, weights):
            with torch.no_grad():
                weights[name].view.copy_(tensor.reshape(weights[name].view.shape))
            left.discard(name)
    if left:
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        raise ValueError(
            f"{main}: lacks {min(left)}{more}, which {file.name} asks for; download both again"
        )
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
    with whole(folder / f"{_stem(model)}.safetensors") as file:
        save_file(tensors, file, metadata={"format": "pt"})
    write_json(folder / "config.json", dict(sorted(config.items())))


def _stem(model: PublishedModel) -> str:
    return "model" if isinstance(model, Transformer) else "diffusion_pytorch_model"


def _files(folder: Path, stem: str) -> tuple[Path, list[Path]]:
    """The file that stands for all weights, and the files that hold them."""
    single = folder / f"{stem}.safetensors"
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


def _tensors(file: Path, weights: dict[str, Weight]) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a file that are weights of the model; anything unexpected is an error."""
    try:
        with safe_open(file, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118
                if _DERIVED.fullmatch(name):
                    continue
                part = opened.get_slice(name)
                _check(file, name, tuple(part.get_shape()), part.get_dtype(), weights)
                yield name, opened.get_tensor(name)
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
