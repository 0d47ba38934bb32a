"""The ``config.json`` of published transformers, and the models that it describes."""

from collections.abc import Mapping
from typing import Any

from rlvr_world.nn.transformer import Transformer

LLAMA = "LlamaForCausalLM"
LLAMA_ONLY = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "tie_word_embeddings": False,
    "rope_scaling": None,
}
"""Settings for which ``Transformer`` knows one value."""


def from_llama_config(config: Mapping[str, Any]) -> Transformer:
    """The model that a config describes, with fresh weights.

    Raises:
        KeyError: A setting is missing.
        ValueError: The positions are not plain rotary ones, or the vocabulary has another layout.
    """
    rope = config.get("rope_parameters") or {"rope_theta": config.get("rope_theta", 10_000.0)}
    heads, dim = config["num_attention_heads"], config["hidden_size"]
    plain = rope.get("rope_type", "default") == "default"
    if not plain or config.get("head_dim") not in (None, dim // heads):
        raise ValueError("only plain rotary positions over hidden_size / heads are supported")
    vocabulary = config["vocab_size"]
    for name, place in (("bos_token_id", vocabulary - 2), ("eos_token_id", vocabulary - 1)):
        if config.get(name, place) != place:
            raise ValueError(f"{name} is {config[name]}, but of {vocabulary} ids it is {place}")
    return Transformer(
        vocab_size=vocabulary,
        dim=dim,
        depth=config["num_hidden_layers"],
        heads=heads,
        kv_heads=config.get("num_key_value_heads"),
        hidden=config["intermediate_size"],
        rope_theta=rope["rope_theta"],
        norm_eps=config["rms_norm_eps"],
    )


def llama_config(model: Transformer) -> dict[str, Any]:
    """The config of a model whose last two ids are its beginning and end tokens, as published."""
    block, vocabulary = model.blocks[0], model.embedding.num_embeddings
    heads, kv_heads, _ = block.attention.sizes
    return LLAMA_ONLY | {
        "architectures": [LLAMA],
        "model_type": "llama",
        "vocab_size": vocabulary,
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "hidden_size": model.embedding.embedding_dim,
        "intermediate_size": block.feed_forward.down.in_features,
        "num_hidden_layers": len(model.blocks),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "max_position_embeddings": 8192,
        "rms_norm_eps": model.norm.eps,
        "rope_theta": model.rope_theta,
        "torch_dtype": "float32",
    }
