"""Folders of world models that ``transformers`` has no class for, in a layout of our own.

``config.json`` says how codec and backbone are built, in the words of a checkpoint, and
``model.safetensors`` holds the weights, each under the keys that lead to it in a checkpoint.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from rlvr_world.files import read_json, whole, write_json

MODEL_TYPE = "rlvr_world"
"""What ``model_type`` says in the config of such a folder."""

SETTINGS = ("codec", "backbone")
"""The settings that a model is built by."""


def is_exported(folder: Path) -> bool:
    """Whether a folder holds a world model in our own layout."""
    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else None
    return isinstance(config, dict) and config.get("model_type") == MODEL_TYPE


def write_exported(checkpoint: Mapping[str, Any], folder: Path) -> None:
    """Write what a world model is made of; optimizers and the state of the run stay behind."""
    settings = {name: checkpoint["hyper_parameters"][name] for name in SETTINGS}
    kept = {name: checkpoint[name] for name in ("state_dict", *SETTINGS)}
    weights: dict[str, Tensor] = {}
    config = without_weights(kept | {"hyper_parameters": settings}, weights)
    with whole(folder / "model.safetensors") as file:
        save_file(weights, file, metadata={"format": "pt"})
    write_json(folder / "config.json", {"model_type": MODEL_TYPE} | config)


def without_weights(
    data: Mapping[str, Any], weights: dict[str, Tensor], place: str = ""
) -> dict[str, Any]:
    """Data without its tensors, which go to ``weights`` under the keys that lead to them."""
    left: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Tensor):
            weights[f"{place}{key}"] = value.contiguous()
        elif isinstance(value, Mapping):
            left[key] = without_weights(value, weights, f"{place}{key}/")
        else:
            left[key] = value
    return left


def read_exported(folder: Path) -> dict[str, Any]:
    """What ``write_exported`` took from a checkpoint, as plain data, on the CPU.

    Raises:
        ValueError: A file is missing or broken, or the two are not of one model.
    """
    try:
        config = read_json(folder / "config.json")
        for name, weight in load_file(folder / "model.safetensors").items():
            *keys, last = name.split("/")
            place = config
            for key in keys:
                place = place[key]
            place[last] = weight
    except (SafetensorError, OSError, ValueError, LookupError, TypeError) as error:
        raise ValueError(
            f"{folder}: config.json and model.safetensors are not those of one exported world "
            "model; export it again"
        ) from error
    return dict(config)
