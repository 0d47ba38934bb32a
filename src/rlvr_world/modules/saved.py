"""World models in checkpoints of any stage."""

from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.modules.stage import load_checkpoint
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.video.published.folders import write_published
from rlvr_world.video.tokenizer.tokenizer_model import KINDS, TokenizerModel

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
    """Write the model of a checkpoint as the published ones are.

    A world model is written as ``transformers`` reads it, LoRA merged into its weights. The folder
    holds safetensors, the config and, for a language model, its tokenizer. It can be the
    ``source`` of a ``LanguageModel`` and be pushed to a hub. A tokenizer of video is written under
    the names of the published RT-1 tokenizers, if its settings are among theirs.

    Args:
        checkpoint: Checkpoint of the MLE or the RLVR stage, or of the tokenizer stage, or the
            folder of a tokenizer.
        output: Folder to write.

    Raises:
        ValueError: The model has no counterpart.
    """
    if is_tokenizer(checkpoint):
        write_published(TokenizerModel.load(checkpoint), output)
        return
    model = load_world_model(checkpoint)
    if isinstance(model.backbone, Transformer) and getattr(model.codec, "special_tokens", False):
        write_published(model.backbone, output)
        return
    model.backbone.export(output)
    tokenizer = getattr(model.codec, "tokenizer", None)
    if isinstance(tokenizer, PreTrainedTokenizerBase):
        tokenizer.save_pretrained(output)


def is_tokenizer(path: Path) -> bool:
    """Whether a path is the folder of a tokenizer or a checkpoint of the tokenizer stage."""
    return path.is_dir() or any(kind in load_checkpoint(path) for kind in KINDS)
