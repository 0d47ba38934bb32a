"""The command ``export``: a model as others read it."""

from pathlib import Path

from rlvr_world.applications.model_card import model_card
from rlvr_world.files import write_text
from rlvr_world.modules.checkpoint import load_checkpoint
from rlvr_world.modules.exported import is_exported, write_exported
from rlvr_world.modules.saved import load_world_model
from rlvr_world.video.published.folders import write_published
from rlvr_world.video.tokenizer.tokenizer_model import KINDS, TokenizerModel


def export(checkpoint: Path, output: Path) -> None:
    """Write the model of a checkpoint as the published ones are, as config and safetensors.

    A world model is written as ``transformers`` reads it, LoRA merged into its weights, and a
    language model with its tokenizer: the folder can be the ``source`` of a ``LanguageModel``. One
    that ``transformers`` has no class for, such as a ``Transformer`` with ``frames``, is written
    with its codec in a layout of our own, which ``rlvr_world.load`` reads like a checkpoint. A
    tokenizer of video is written under the names of the published RT-1 tokenizers, if its settings
    are among theirs. README.md is a model card, from the checkpoint's provenance and the table of
    its preset's folder.

    Args:
        checkpoint: Checkpoint of the MLE or the RLVR stage, or of the tokenizer stage, or the
            folder of a tokenizer.
        output: Folder to write.

    Raises:
        ValueError: The model has no counterpart.
    """
    if is_tokenizer(checkpoint):
        write_published(TokenizerModel.load(checkpoint), output)
    else:
        model = load_world_model(checkpoint)
        if model.backbone.has_counterpart:
            model.codec.export(model.backbone, output)
        else:
            write_exported(load_checkpoint(checkpoint), output)
    if checkpoint.is_file():
        write_text(output / "README.md", model_card(checkpoint))


def is_tokenizer(path: Path) -> bool:
    """Whether a path is the folder of a tokenizer or a checkpoint of the tokenizer stage."""
    if path.is_dir() and not is_exported(path):
        return True
    return any(kind in load_checkpoint(path) for kind in KINDS)
