"""Sequence models as folders that ``transformers`` reads."""

from pathlib import Path

from transformers import AutoModelForCausalLM, PreTrainedModel

from rlvr_world.nn.language_model import LanguageModel
from rlvr_world.nn.llama import to_llama
from rlvr_world.nn.sequence_model import SequenceModel
from rlvr_world.nn.transformer import Transformer


def export_model(model: SequenceModel, folder: Path) -> None:
    """Write the weights as safetensors, with the config.

    Raises:
        ValueError: This kind of model has no counterpart in ``transformers``.
    """
    counterpart(model).save_pretrained(folder)


def counterpart(model: SequenceModel) -> PreTrainedModel:
    """The same model as ``transformers`` holds it, whole."""
    if isinstance(model, Transformer):
        return to_llama(model)
    if isinstance(model, LanguageModel):
        whole = AutoModelForCausalLM.from_config(model.model.config, dtype=model.model.dtype)
        whole.load_state_dict(dict(model.to_transformers_state()))
        return whole
    raise ValueError(f"{type(model).__name__} has no counterpart in transformers")
