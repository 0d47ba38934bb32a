"""Names and shapes of weights: ours and those of ``transformers.LlamaForCausalLM``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from rlvr_world.nn.transformer import Transformer

_NAMES = {
    "attention.out": "self_attn.o_proj",
    "feed_forward.down": "mlp.down_proj",
    "attention_norm": "input_layernorm",
    "feed_forward_norm": "post_attention_layernorm",
}
_OUTER = {"embedding": "model.embed_tokens", "norm": "model.norm", "head": "lm_head"}


def llama_weights(model: Transformer) -> Iterator[tuple[str, Tensor]]:
    """The weights as ``transformers`` names and splits them, layer by layer, without copies."""
    for ours, theirs in _OUTER.items():
        yield f"{theirs}.weight", getattr(model, ours).weight
    for index, block in enumerate(model.blocks):
        prefix = f"model.layers.{index}"
        sizes = [size * model.head_dim for size in block.attention.sizes]
        for name, part in zip("qkv", block.attention.qkv.weight.split(sizes), strict=True):
            yield f"{prefix}.self_attn.{name}_proj.weight", part
        gate, up = block.feed_forward.gate_up.weight.chunk(2)
        yield f"{prefix}.mlp.gate_proj.weight", gate
        yield f"{prefix}.mlp.up_proj.weight", up
        for ours, theirs in _NAMES.items():
            yield f"{prefix}.{theirs}.weight", block.get_submodule(ours).weight


def from_llama_weights(theirs: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """The state of our model of ``depth`` blocks."""
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
