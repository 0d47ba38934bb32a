"""Keys and values of a prompt that the members of a group share.

H query heads, K key-value heads (H is R times K), D head dimensions, P prompt positions, B prompts,
G members of a group, N = B * G rows, T new positions.
"""

from collections.abc import Callable

import torch
from einops import rearrange, repeat
from torch import Tensor

from rlvr_world.nn.attention import causal_attention, visible_positions

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Attention of queries [N, H, T, D] to keys and values [N, K, T, D] and to what came before."""


class PromptLayer:
    """One layer's view of a shared prompt."""

    def __init__(self, cache: "PromptCache") -> None:
        self.cache = cache

    def fill(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention within the prompt [B, ...], whose keys and values are remembered."""
        self.key, self.value = key, value  # [B, K, P, D]
        return causal_attention(query, key, value, self.cache.prompt_mask(key))

    def read(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention of members [N, ...] to their prompt and to their own positions."""
        group = len(query) // len(self.key)
        keys = torch.cat([self.key.repeat_interleave(group, 0), key], dim=2)
        values = torch.cat([self.value.repeat_interleave(group, 0), value], dim=2)
        return causal_attention(query, keys, values, self.cache.member_mask(query, keys))


class PromptCache:
    """Prompts, differentiable: the first forward pass fills them in, later ones read them.

    Args:
        depth: Number of layers.
        padding: Leading positions of each prompt that hold nothing, [B].
    """

    def __init__(self, depth: int, padding: Tensor | None = None) -> None:
        self.layers = [PromptLayer(self) for _ in range(depth)]
        self.padding = padding
        self.length = 0

    def attends(self) -> list[Attend]:
        """The attention of each layer in the coming forward pass."""
        return [layer.read if self.length else layer.fill for layer in self.layers]

    def advance(self, length: int) -> None:
        """Note that ``length`` positions have passed through every layer."""
        self.length = self.length or length

    def prompt_mask(self, key: Tensor) -> Tensor | None:
        """Which prompt positions see which, None where all see all before them."""
        if self.padding is None:
            return None
        return visible_positions(key.shape[2], key.shape[2], self.padding)

    def member_mask(self, query: Tensor, keys: Tensor) -> Tensor | None:
        """Which positions the new ones of each member see."""
        if self.padding is None:
            return None
        members = self.padding.repeat_interleave(len(query) // len(self.padding))
        return visible_positions(query.shape[2], keys.shape[2], members)


class SamplingLayer:
    """One layer's shared prompt, and a buffer for what each member has added."""

    def __init__(
        self, cache: "SamplingCache", prompt: PromptLayer, group: int, capacity: int
    ) -> None:
        self.cache = cache
        self.group, self.kv_heads = group, prompt.key.shape[1]
        self.prompt_key = prompt.key.flatten(0, 1)  # [B * K, P, D]
        self.prompt_value = prompt.value.flatten(0, 1)
        rows, _, dim = self.prompt_key.shape
        self.key = prompt.key.new_zeros(rows, group, capacity, dim)
        self.value = torch.zeros_like(self.key)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend to the prompt, one matrix product for a whole group, and to the own positions."""
        new, prompt_length = query.shape[2], self.prompt_key.shape[1]
        own_key, own_value = self.remember(key, value)  # [B * K * G, S, D]
        query = rearrange(
            query * query.shape[-1] ** -0.5,
            "(b g) (k r) t d -> (b k) (g r t) d",
            g=self.group,
            k=self.kv_heads,
        )
        to_prompt = torch.bmm(query, self.prompt_key.transpose(1, 2))
        to_prompt = self.cache.hide_padding(to_prompt)
        own_query = query.reshape(len(own_key), -1, query.shape[-1])
        to_own = torch.bmm(own_query, own_key.transpose(1, 2))
        to_own = self.cache.hide_future(to_own, new)
        scores = torch.cat([to_prompt.view(*to_own.shape[:2], -1), to_own], dim=-1)
        weights = scores.softmax(dim=-1)
        from_prompt = torch.bmm(
            weights.view(*query.shape[:2], -1)[..., :prompt_length], self.prompt_value
        )
        mixed = torch.baddbmm(
            from_prompt.view_as(own_query), weights[..., prompt_length:], own_value
        )
        return rearrange(
            mixed, "(b k g) (r t) d -> (b g) (k r) t d", g=self.group, k=self.kv_heads, t=new
        )

    def remember(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add keys and values [N, K, T, D] to each member's own, which are returned."""
        places, end = self.cache.places(key.shape[2])
        for buffer, new in ((self.key, key), (self.value, value)):
            new = rearrange(new, "(b g) k t d -> (b k) g t d", g=self.group)
            buffer.index_copy_(2, places, new.to(buffer.dtype))
        return self.key[:, :, :end].flatten(0, 1), self.value[:, :, :end].flatten(0, 1)


class SamplingCache:
    """Shared prompts plus the positions that each group member has added so far.

    Args:
        prompt: The prompts, filled in.
        group_size: G.
        capacity: The most positions that a member can add.
        static: Keep all shapes and addresses the same from pass to pass.
    """

    def __init__(
        self, prompt: PromptCache, group_size: int, capacity: int, static: bool = False
    ) -> None:
        self.layers = [SamplingLayer(self, p, group_size, capacity) for p in prompt.layers]
        self.prompt_length, self.capacity = prompt.length, capacity
        self.device = prompt.layers[0].key.device
        self.hidden_prompt: Tensor | None = None
        if prompt.padding is not None:
            positions = torch.arange(prompt.length, device=self.device)
            hidden = positions < prompt.padding[:, None]  # [B, P]
            self.hidden_prompt = repeat(hidden, "b p -> (b k) 1 p", k=self.layers[0].kv_heads)
        self.static = static
        self.length: int | Tensor = prompt.length
        if static:
            self.length = torch.tensor(prompt.length, device=self.device)

    def attends(self) -> list[Attend]:
        """The attention of each layer."""
        return [layer.attend for layer in self.layers]

    def advance(self, length: int) -> None:
        """Note that ``length`` more positions have passed through every layer."""
        self.length += length

    def places(self, new: int) -> tuple[Tensor, int]:
        """Where ``new`` positions go in the buffers, and how much of these is then looked at."""
        start = self.length - self.prompt_length
        places = torch.arange(new, device=self.device) + start
        return places, self.capacity if self.static else start + new

    def hide_padding(self, to_prompt: Tensor) -> Tensor:
        """Scores [B * K, G * R * T, P] with minus infinity where the prompt holds nothing."""
        if self.hidden_prompt is None:
            return to_prompt
        return to_prompt.masked_fill(self.hidden_prompt, float("-inf"))

    def hide_future(self, to_own: Tensor, new: int) -> Tensor:
        """Scores [B * K * G, R * T, S] with minus infinity at positions still to come."""
        if new == 1 and not self.static:
            return to_own
        places, end = self.places(new)
        future = torch.arange(end, device=self.device) > places[:, None]  # [T, S]
        return to_own.masked_fill(future.repeat(to_own.shape[1] // new, 1), float("-inf"))
