"""World models in checkpoints of any stage."""

from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.modules.stage import load_checkpoint
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.nn.export import export_model

STAGES = (MLEWorldModel, RLVRWorldModel)
"""The classes that checkpoints name; Lightning loads none that is not imported."""


def load_world_model(path: Path, device: torch.device | str = "cpu") -> WorldModel:
    """The world model in a checkpoint, rebuilt from the settings that it holds.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no checkpoint of a world model.
    """
    if "codec" not in load_checkpoint(path):
        raise ValueError(
            f"{path}: not the checkpoint of a world model; give one that the MLE or the RLVR stage "
            "wrote"
        )
    try:
        model = WorldModel.load_from_checkpoint(path, map_location=device, weights_only=True)
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(f"{path}: {error}") from error
    return model.to(device).eval()


def export(checkpoint: Path, output: Path) -> None:
    """Write the model of a checkpoint as ``transformers`` reads it, LoRA merged into its weights.

    The folder holds safetensors, the config and, for a language model, its tokenizer. It can be
    the ``source`` of a ``LanguageModel`` and be pushed to a hub.

    Args:
        checkpoint: Checkpoint of the MLE or the RLVR stage.
        output: Folder to write.
    """
    model = load_world_model(checkpoint)
    export_model(model.backbone, output)
    tokenizer = getattr(model.codec, "tokenizer", None)
    if isinstance(tokenizer, PreTrainedTokenizerBase):
        tokenizer.save_pretrained(output)
