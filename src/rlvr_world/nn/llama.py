"""Weights of our ``Transformer`` to and from ``transformers.LlamaForCausalLM``."""

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from rlvr_world.nn.transformer import Transformer

_NAMES = {
    "attention.out": "self_attn.o_proj",
    "feed_forward.down": "mlp.down_proj",
    "attention_norm": "input_layernorm",
    "feed_forward_norm": "post_attention_layernorm",
}
_OUTER = {"embedding": "model.embed_tokens", "norm": "model.norm", "head": "lm_head"}


def to_llama(model: Transformer) -> LlamaForCausalLM:
    """The same model as ``transformers`` holds it, with a copy of the weights."""
    attention = model.blocks[0].attention
    heads, kv_heads, _ = attention.sizes
    config = LlamaConfig(
        vocab_size=model.embedding.num_embeddings,
        hidden_size=model.embedding.embedding_dim,
        intermediate_size=model.blocks[0].feed_forward.down.in_features,
        num_hidden_layers=len(model.blocks),
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=model.head_dim,
        rms_norm_eps=model.norm.eps,
        rope_theta=model.rope_theta,
        tie_word_embeddings=False,
    )
    state = {}
    for ours, theirs in _OUTER.items():
        state[f"{theirs}.weight"] = getattr(model, ours).weight
    for index, block in enumerate(model.blocks):
        prefix = f"model.layers.{index}"
        for ours, theirs in _NAMES.items():
            state[f"{prefix}.{theirs}.weight"] = block.get_submodule(ours).weight
        sizes = [size * model.head_dim for size in attention.sizes]
        for name, part in zip("qkv", block.attention.qkv.weight.split(sizes), strict=True):
            state[f"{prefix}.self_attn.{name}_proj.weight"] = part
        gate, up = block.feed_forward.gate_up.weight.chunk(2)
        state |= {f"{prefix}.mlp.gate_proj.weight": gate, f"{prefix}.mlp.up_proj.weight": up}
    llama = LlamaForCausalLM(config)
    llama.load_state_dict(state)
    return llama


def from_llama(llama: LlamaForCausalLM) -> Transformer:
    """Our model with a copy of the weights of ``llama``.

    Raises:
        ValueError: The model uses something that ours does not have.
    """
    config = llama.config
    rope = config.rope_parameters
    if rope.get("rope_type", "default") != "default" or config.attention_bias or config.mlp_bias:
        raise ValueError(
            "only Llama models with plain rotary positions and no biases are supported"
        )
    model = Transformer(
        vocab_size=config.vocab_size,
        dim=config.hidden_size,
        depth=config.num_hidden_layers,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        hidden=config.intermediate_size,
        rope_theta=rope["rope_theta"],
        norm_eps=config.rms_norm_eps,
    )
    model.load_state_dict(_from_llama_state(llama.state_dict(), config.num_hidden_layers))
    return model


def _from_llama_state(theirs: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    state = {f"{ours}.weight": theirs[f"{name}.weight"] for ours, name in _OUTER.items()}
    for index in range(depth):
        source, target = f"model.layers.{index}", f"blocks.{index}"
        for ours, name in _NAMES.items():
            state[f"{target}.{ours}.weight"] = theirs[f"{source}.{name}.weight"]
        qkv = [theirs[f"{source}.self_attn.{name}_proj.weight"] for name in "qkv"]
        state[f"{target}.attention.qkv.weight"] = torch.cat(qkv)
        gate_up = [theirs[f"{source}.mlp.{name}_proj.weight"] for name in ("gate", "up")]
        state[f"{target}.feed_forward.gate_up.weight"] = torch.cat(gate_up)
    return state
