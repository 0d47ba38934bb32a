"""World models in checkpoints of any stage."""

import copy
from argparse import ArgumentError
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser

from rlvr_world.codec import Codec
from rlvr_world.modules.checkpoint import load_checkpoint, load_matching
from rlvr_world.modules.trusted import check_depth, check_specification
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.nn.sequence_model import SequenceModel


def load_world_model(
    path: Path, device: torch.device | str = "cpu", tokenizer: Path | None = None
) -> WorldModel:
    """The world model in a checkpoint of the MLE or the RLVR stage, ready to predict.

    The checkpoint holds all that it needs, so it can be anywhere.

    Args:
        path: The checkpoint, or the folder of a world model that was exported in our own layout.
        device: Where the model goes.
        tokenizer: A tokenizer to use instead of the one in the checkpoint; it must code alike.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no checkpoint of a world model, or was not written by ``rlvr-world fit``.
    """
    checkpoint = load_checkpoint(path)
    if "codec" not in checkpoint:
        raise ValueError(
            f"{path}: not the checkpoint of a world model; give one that the MLE or the RLVR stage "
            "wrote"
        )
    try:
        model = WorldModel(**parts(checkpoint, path, tokenizer))
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"{path}: {error}") from error
    model.check_compatible(checkpoint, path)
    load_matching(model, checkpoint["state_dict"], path)
    model.provenance = checkpoint.get("provenance", {})
    return model.to(device).eval()


def parts(checkpoint: dict[str, Any], path: Path, tokenizer: Path | None = None) -> dict[str, Any]:
    """Codec and constructor of the backbone, as the settings in the checkpoint at a path say.

    Raises:
        ValueError: It holds no settings, or they do not fit.
    """
    settings = checkpoint.get("hyper_parameters", {})
    try:
        codec, backbone = copy.deepcopy((settings["codec"], settings["backbone"]))
        arguments = codec.setdefault("init_args", {})
        packed = checkpoint["codec"].keys() & arguments.keys()
        arguments |= dict.fromkeys(packed, str(path))
        if tokenizer is not None:
            arguments["tokenizer"] = str(tokenizer)
        backbone.setdefault("init_args", {}).update(checkpoint.get("backbone", {}))
        needed = {"tokenizer": arguments, "source": backbone["init_args"]}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            "it does not say how its codec and backbone are built; only checkpoints of `rlvr-world "
            "fit` do"
        ) from error
    check_specification(codec, Codec, "codec")
    check_specification(backbone, SequenceModel, "backbone")
    check_depth(backbone, len(checkpoint["state_dict"]), "backbone")
    for name, given in needed.items():
        if given.get(name) is not None and not Path(given[name]).exists():
            raise ValueError(f"{name}: {given[name]} is neither in the checkpoint nor here")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--codec", type=Codec)
    parser.add_argument("--backbone", type=Callable[[int], SequenceModel])
    try:
        built = parser.instantiate(parser.parse_object({"codec": codec, "backbone": backbone}))
    except ArgumentError as error:
        raise ValueError(str(error)) from error
    return {"codec": built.codec, "backbone": built.backbone}
