"""Pretrained models of ``transformers``, from a folder or the hub."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, PreTrainedModel


def pretrained(source: Path | str, kind: Any, dtype: torch.dtype) -> PreTrainedModel:
    """The model in a folder, or by its name on the hub, in training mode.

    What it names is neither run nor fetched: code of its own, kernels, the model of an adapter.

    Args:
        source: The folder, or the name.
        kind: ``AutoModel`` or another of its kind.
        dtype: Of the weights.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It cannot be read as plain data, or lacks weights.
    """
    if Path(source, "adapter_config.json").exists():
        raise ValueError(
            f"{source}: holds an adapter; merge it into its model, and give the result"
        )
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        if "/" in str(kernels := config._attn_implementation):
            raise ValueError(f"it names kernels that lie elsewhere, {kernels}")
        options: dict[str, Any] = {"config": config, "dtype": dtype, "trust_remote_code": False}
        model, found = kind.from_pretrained(source, output_loading_info=True, **options)
    except OSError as error:
        raise FileNotFoundError(
            f"{source}: no model in transformers' form, neither a folder here nor on the hub"
        ) from error
    except Exception as error:
        reason = str(error).strip().partition("\n")[0].partition(". ")[0]
        raise ValueError(f"{source}: no model that is plain data and whole ({reason})") from error
    if lost := sorted(name for name in found["missing_keys"] if not name.startswith("pooler.")):
        raise ValueError(
            f"{source}: {len(lost)} weights of {type(model).__name__} are not there, {lost[0]} "
            "among them; give a model of that kind"
        )
    return model.train()
