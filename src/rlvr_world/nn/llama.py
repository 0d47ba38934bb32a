"""Our ``Transformer`` as ``transformers.LlamaForCausalLM`` and back."""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from rlvr_world.nn.transformer import Transformer

ONLY = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": False,
    "rope_scaling": None,
}
"""Settings for which ``Transformer`` knows one value."""


def llama_config(model: Transformer) -> dict[str, Any]:
    """The settings of ``transformers.LlamaConfig`` for a model."""
    block = model.layers[0]
    heads, kv_heads, _ = block.attention.sizes
    return ONLY | {
        "vocab_size": model.embedding.num_embeddings,
        "hidden_size": model.embedding.embedding_dim,
        "intermediate_size": block.feed_forward.down.in_features,
        "num_hidden_layers": len(model.layers),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "rms_norm_eps": model.norm.eps,
        "rope_theta": model.rope_theta,
    }


def from_llama_config(config: Mapping[str, Any]) -> Transformer:
    """The model that settings of ``LlamaConfig`` describe, with fresh weights."""
    for name, value in ONLY.items():
        if config.get(name, value) != value:
            raise ValueError(f"{name} is {config[name]!r}, but only {value!r} is supported")
    rope = config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", 10_000.0)}
    heads, dim = config["num_attention_heads"], config["hidden_size"]
    plain = rope.get("rope_type", "default") == "default"
    if not plain or config.get("head_dim") not in (None, dim // heads):
        raise ValueError("only plain rotary positions over hidden_size / heads are supported")
    return Transformer(
        vocab_size=config["vocab_size"],
        dim=dim,
        depth=config["num_hidden_layers"],
        heads=heads,
        kv_heads=config.get("num_key_value_heads"),
        hidden=config["intermediate_size"],
        rope_theta=rope["rope_theta"],
        norm_eps=config["rms_norm_eps"],
    )


def to_llama(model: Transformer) -> LlamaForCausalLM:
    """The same model as ``transformers`` holds it, with a copy of the weights."""
    llama = LlamaForCausalLM(LlamaConfig(**llama_config(model)))
    llama.load_state_dict(dict(model.to_transformers_state()))
    return llama


@torch.no_grad()
def from_llama(llama: LlamaForCausalLM) -> Transformer:
    """Our model with a copy of the weights of ``llama``."""
    model = from_llama_config(llama.config.to_dict() | {"tie_word_embeddings": False})
    weights = llama.state_dict()
    for name, tensor in model.to_transformers_state():
        tensor.copy_(weights[name])
    return model
