"""Keys and values of a prompt that the members of a group share.

H query heads, K key-value heads (H is a multiple of K), D head dimensions, P prompt positions.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from rlvr_world.nn.sequence_model import Cache


class PromptLayer:
    """One layer's view of a shared prompt, differentiable, for training on whole continuations."""

    def __init__(self) -> None:
        self.key: Tensor | None = None  # [B, K, P, D]
        self.value: Tensor | None = None  # [B, K, P, D]

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Remember the first keys and values that come, then let each member attend to them."""
        if self.key is None:
            self.key, self.value = key, value
            return causal_attention(query, key, value)
        group = len(query) // len(self.key)
        keys = torch.cat([self.key.repeat_interleave(group, 0), key], dim=2)
        values = torch.cat([self.value.repeat_interleave(group, 0), value], dim=2)
        return causal_attention(query, keys, values)


class PromptCache(Cache):
    """Prompts whose layers fill in the first forward pass; later passes leave them as they are."""

    def __init__(self, depth: int) -> None:
        self.layers = [PromptLayer() for _ in range(depth)]
        self.length = 0

    def advance(self, length: int) -> None:
        self.length = self.length or length


class SamplingLayer:
    """One layer's shared prompt, and a static buffer for what each member has added."""

    def __init__(self, prompt: PromptLayer, group_size: int, capacity: int) -> None:
        self.prompt_key, self.prompt_value = prompt.key, prompt.value  # [B, K, P, D]
        batch, heads, _, dim = prompt.key.shape
        self.key = prompt.key.new_empty(batch * group_size, heads, capacity, dim)
        self.value = torch.empty_like(self.key)
        self.length = 0

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend to the prompt, one matrix product for a whole group, and to the own positions."""
        batch, kv_heads = self.prompt_key.shape[:2]
        members, heads, new, dim = query.shape
        end = self.length + new
        self.key[:, :, self.length : end] = key
        self.value[:, :, self.length : end] = value
        group, repeats = members // batch, heads // kv_heads
        query = query * dim**-0.5
        shared = rearrange(query, "(b g) (k r) t d -> b k (g r t) d", b=batch, k=kv_heads)
        own = rearrange(query, "n (k r) t d -> n k (r t) d", k=kv_heads)
        sizes = {"b": batch, "g": group, "r": repeats, "t": new}
        to_prompt = rearrange(
            shared @ self.prompt_key.transpose(2, 3), "b k (g r t) p -> (b g) k (r t) p", **sizes
        )
        to_own = own @ self.key[:, :, :end].transpose(2, 3)
        if new > 1:
            future = torch.ones(new, end, dtype=torch.bool, device=query.device)
            future = future.triu(self.length + 1).repeat(repeats, 1)
            to_own = to_own.masked_fill(future, float("-inf"))
        prompt_length = self.prompt_key.shape[2]
        weights = torch.cat([to_prompt, to_own], dim=-1).softmax(dim=-1)
        from_prompt = rearrange(
            weights[..., :prompt_length], "(b g) k (r t) p -> b k (g r t) p", **sizes
        )
        mixed = rearrange(
            from_prompt @ self.prompt_value, "b k (g r t) d -> (b g) k (r t) d", **sizes
        )
        mixed = mixed + weights[..., prompt_length:] @ self.value[:, :, :end]
        self.length = end
        return rearrange(mixed, "n k (r t) d -> n (k r) t d", r=repeats)


class SamplingCache(Cache):
    """Shared prompts plus the positions that each group member has added so far."""

    def __init__(self, prompt: PromptCache, group_size: int, capacity: int) -> None:
        self.layers = [SamplingLayer(layer, group_size, capacity) for layer in prompt.layers]
        self.length = prompt.length

    def advance(self, length: int) -> None:
        self.length += length


def causal_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention of the last T of S positions: query [N, H, T, D], key and value [N, K, S, D]."""
    new, total = query.shape[2], key.shape[2]
    gqa = query.shape[1] != key.shape[1]
    if query.device.type == "cpu" and query.dtype == torch.bfloat16 and not gqa:
        return plain_attention(query, key, value)
    if new == total:
        return F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=gqa)
    past = torch.ones(new, total, dtype=torch.bool, device=query.device).tril(total - new)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=past, enable_gqa=gqa)


def plain_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """``causal_attention`` written out; in bfloat16 on the CPU it takes half the fused one's time.

    The fused kernel's backward pass does not use the matrix units there.
    """
    new, total = query.shape[2], key.shape[2]
    future = query.new_full((new, total), float("-inf")).triu(total - new + 1)
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(2, 3)
    return (scores + future).softmax(dim=-1) @ value
