"""The ``config.json`` of published checkpoints: models that it describes, and back.

A tokenizer's is what ``diffusers`` keeps of its constructor, a transformer's a ``LlamaConfig``.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rlvr_world.nn.llama import from_llama_config, llama_config
from rlvr_world.nn.transformer import Transformer
from rlvr_world.video.tokenizer.compressive import CompressiveVQModel
from rlvr_world.video.tokenizer.tokenizer_model import TokenizerModel
from rlvr_world.video.tokenizer.vq_model import VQModel

PublishedModel = TokenizerModel | Transformer
"""Our classes for what is published."""

FRAME, COMPRESSIVE = "CNNFSQModel256", "CompressiveVQModelFSQ"
LLAMA = "LlamaForCausalLM"
LEVELS = {
    8: (8, 6, 5),
    10: (8, 5, 5, 5),
    12: (7, 5, 5, 5, 5),
    14: (8, 8, 8, 6, 5),
    16: (8, 8, 8, 5, 5, 5),
}
"""Levels of a quantiser by the bits of a code, rounded, as the published configs name them."""

_TOKENIZER = {
    "in_channels": 3,
    "out_channels": 3,
    "act_fn": "silu",
    "norm_num_groups": 32,
    "norm_type": "group",
}
_ONLY: dict[str, dict[str, Any]] = {
    FRAME: _TOKENIZER,
    COMPRESSIVE: _TOKENIZER | {"context_length": 1},
    LLAMA: {},
}
"""Settings for which our tokenizers know one value; ``from_llama_config`` checks its own."""


def from_published_config(config: Mapping[str, Any], file: Path) -> PublishedModel:
    """The model that a published config, read from ``file``, describes, with fresh weights.

    Raises:
        ValueError: It is the config of something else, or has settings that our classes lack.
    """
    kind = published_kind(config, file)
    for name, value in _ONLY[kind].items():
        if config.get(name, value) != value:
            raise ValueError(
                f"{file}: {name} is {config[name]!r}, but a {kind} is read with {value!r} only"
            )
    try:
        return _BUILD[kind](config)
    except KeyError as error:
        raise ValueError(f"{file}: lacks {error.args[0]!r}; download the folder again") from error
    except (TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise ValueError(f"{file}: not the settings of a {kind}: {error}") from error


def published_kind(config: Mapping[str, Any], file: Path) -> str:
    """``FRAME``, ``COMPRESSIVE`` or ``LLAMA``, by ``_class_name`` or ``architectures``."""
    architectures = config.get("architectures")
    names = [config.get("_class_name"), *(architectures if isinstance(architectures, list) else ())]
    if config.get("model_type") == "llama":
        names.append(LLAMA)
    for kind in _ONLY:
        if kind in names:
            return kind
    described = next((name for name in names if name), "nothing known")
    raise ValueError(
        f"{file}: describes {described}, not a {FRAME}, {COMPRESSIVE} or {LLAMA}; "
        "give the folder of a published tokenizer or transformer"
    )


def published_config(model: PublishedModel) -> dict[str, Any]:
    """The published config of a model.

    The last two ids of a transformer are its beginning and end tokens, as published.

    Raises:
        ValueError: The published classes lack one of the model's settings.
    """
    if isinstance(model, Transformer):
        return llama_config(model) | {
            "architectures": [LLAMA],
            "model_type": "llama",
            "max_position_embeddings": 8192,
            "torch_dtype": "float32",
            **_special_tokens(model.embedding.num_embeddings),
        }
    ours = model.config
    compressive = isinstance(model, CompressiveVQModel)
    _check_exportable(model)
    blocks = len(ours["channels"])
    bits = {levels: bits for bits, levels in LEVELS.items()}
    config = _ONLY[COMPRESSIVE if compressive else FRAME] | {
        "_class_name": COMPRESSIVE if compressive else FRAME,
        "block_out_channels": ours["channels"],
        "down_block_types": ["DownEncoderBlock2D"] * blocks,
        "up_block_types": ["UpDecoderBlock2D"] * blocks,
        "latent_channels": ours["latent_channels"],
        "layers_per_block": ours["layers"],
        "resolution": ours["frame_size"][0] if compressive else 256,
    }
    if not compressive:
        return config | {"fsq_levels": bits[tuple(ours["levels"])]}
    return config | {
        "vq_fsq_levels": bits[tuple(ours["context_levels"])],
        "dyn_fsq_levels": bits[tuple(ours["levels"])],
        "mid_block_add_attention": ours["attention"],
        "max_att_resolution": ours["attention_height"],
        "patch_size": ours["patch_size"],
    }


def _check_exportable(model: TokenizerModel) -> None:
    ours = model.config
    only = {"stem": 1, "kernel_size": 3, "norm": "group", "normalize_codes": False}
    if isinstance(model, CompressiveVQModel):
        height = 32 * 2 ** (len(ours["channels"]) - 1)
        only |= {"heads": 4, "frame_size": [height, height // 4 * 5]}
    else:
        only |= {"attention": True}
    wrong = [name for name, value in only.items() if ours[name] != value]
    wrong += ["channels"] * any(width % 32 for width in ours["channels"])
    known = LEVELS.values()
    wrong += [n for n in ("levels", "context_levels") if n in ours and tuple(ours[n]) not in known]
    if wrong:
        raise ValueError(
            f"this {type(model).__name__} has no counterpart among the published tokenizers: they "
            f"have no {wrong[0]} of {ours[wrong[0]]}; load it from its own folder instead"
        )


def _frame_tokenizer(config: Mapping[str, Any]) -> VQModel:
    return VQModel(
        channels=_channels(config),
        levels=_levels(config["fsq_levels"]),
        latent_channels=config["latent_channels"],
        layers=config["layers_per_block"],
    )


def _compressive_tokenizer(config: Mapping[str, Any]) -> CompressiveVQModel:
    height = config["resolution"]
    return CompressiveVQModel(
        frame_size=(height, height // 4 * 5),
        channels=_channels(config),
        levels=_levels(config["dyn_fsq_levels"]),
        context_levels=_levels(config["vq_fsq_levels"]),
        latent_channels=config["latent_channels"],
        layers=config["layers_per_block"],
        patch_size=config.get("patch_size", 4),
        attention=config["mid_block_add_attention"],
        attention_height=config["max_att_resolution"],
    )


def _transformer(config: Mapping[str, Any]) -> Transformer:
    vocabulary = config["vocab_size"]
    for name, token in _special_tokens(vocabulary).items():
        if config.get(name, token) != token:
            raise ValueError(f"{name} is {config[name]}, but of {vocabulary} ids it is {token}")
    return from_llama_config(config)


def _special_tokens(vocabulary: int) -> dict[str, int]:
    return {"bos_token_id": vocabulary - 2, "eos_token_id": vocabulary - 1}


_BUILD: dict[str, Callable[[Mapping[str, Any]], PublishedModel]] = {
    FRAME: _frame_tokenizer,
    COMPRESSIVE: _compressive_tokenizer,
    LLAMA: _transformer,
}


def _channels(config: Mapping[str, Any]) -> list[int]:
    channels = list(config["block_out_channels"])
    if any(width % 32 for width in channels):
        raise ValueError(f"block_out_channels {channels} are not all multiples of 32")
    return channels


def _levels(levels: int | list[int]) -> list[int]:
    if isinstance(levels, int) and levels not in LEVELS:
        raise ValueError(f"levels for {levels} bits are not known, only for {list(LEVELS)}")
    return list(LEVELS[levels] if isinstance(levels, int) else levels)
