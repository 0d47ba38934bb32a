"""The command ``export``: a model as others read it."""

from pathlib import Path

from rlvr_world.applications.model_card import model_card
from rlvr_world.files import write_text
from rlvr_world.modules.checkpoint import load_checkpoint
from rlvr_world.modules.saved import load_world_model
from rlvr_world.video.published.folders import write_published
from rlvr_world.video.tokenizer.tokenizer_model import KINDS, TokenizerModel


def export(checkpoint: Path, output: Path) -> None:
    """Write the model of a checkpoint as the published ones are.

    A world model is written as ``transformers`` reads it, LoRA merged into its weights. The folder
    holds safetensors, the config and, for a language model, its tokenizer. It can be the
    ``source`` of a ``LanguageModel`` and be pushed to a hub. A tokenizer of video is written under
    the names of the published RT-1 tokenizers, if its settings are among theirs. README.md is a
    model card, from the checkpoint's provenance and the table of its preset's folder.

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
        model.codec.export(model.backbone, output)
    if checkpoint.is_file():
        write_text(output / "README.md", model_card(checkpoint))


def is_tokenizer(path: Path) -> bool:
    """Whether a path is the folder of a tokenizer or a checkpoint of the tokenizer stage."""
    return path.is_dir() or any(kind in load_checkpoint(path) for kind in KINDS)
