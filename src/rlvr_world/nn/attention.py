"""Causal attention, and the keys and values of a prompt that the members of a group share.

H query heads, K key-value heads (H is R times K), T new positions of S in all, D head dimensions, P
prompt positions, B prompts, G members of a group, N = B * G rows.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor


def visible_positions(new: int, total: int, padding: Tensor) -> Tensor:
    """Which of ``total`` positions the last ``new`` see, [B, 1, T, S] bool.

    ``padding`` [B] is the number of leading positions of each row that hold nothing. They see
    themselves, so that every position sees something.
    """
    past = torch.ones(new, total, dtype=torch.bool, device=padding.device).tril(total - new)
    itself = past & ~past.tril(-1 + total - new)
    filled = torch.arange(total, device=padding.device) >= padding[:, None]  # [B, S]
    return ((past & filled[:, None]) | itself)[:, None]


def causal_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Attention of the last T of S positions: queries [N, H, T, D], keys and values [N, K, S, D].

    ``mask`` [N, 1, T, S] says which positions see which; all that came before if not given.
    """
    new, total = query.shape[2], key.shape[2]
    gqa = query.shape[1] != key.shape[1]
    if query.device.type == "cpu" and query.dtype == torch.bfloat16 and not gqa:
        return plain_attention(query, key, value, mask)
    if mask is None and new == total:
        return F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=gqa)
    if mask is None:
        mask = torch.ones(new, total, dtype=torch.bool, device=query.device).tril(total - new)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=gqa)


def plain_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> Tensor:
    """``causal_attention`` written out; in bfloat16 on the CPU it takes half the fused one's time.

    The fused kernel's backward pass does not use the matrix units there.
    """
    new, total = query.shape[2], key.shape[2]
    future = query.new_full((new, total), float("-inf")).triu(total - new + 1)
    if mask is not None:
        future = torch.zeros_like(mask, dtype=query.dtype).masked_fill(~mask, float("-inf"))
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(2, 3)
    return (scores + future).softmax(dim=-1) @ value


Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Attention of queries [N, H, T, D] to keys and values [N, K, T, D] and to what came before."""


class PromptLayer:
    """One layer's view of a shared prompt."""

    def fill(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention within the prompt [B, ...], whose keys and values are remembered."""
        self.key, self.value = key, value  # [B, K, P, D]
        return causal_attention(query, key, value, mask)

    def read(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention of members [N, ...] to their prompt and to their own positions."""
        group = len(query) // len(self.key)
        keys = torch.cat([self.key.repeat_interleave(group, 0), key], dim=2)
        values = torch.cat([self.value.repeat_interleave(group, 0), value], dim=2)
        return causal_attention(query, keys, values, mask)


class PromptCache:
    """Prompts, differentiable: the first forward pass fills them in, later ones read them.

    ``padding`` [B] is the number of leading positions of each prompt that hold nothing.
    """

    def __init__(self, depth: int, padding: Tensor | None = None) -> None:
        self.layers = [PromptLayer() for _ in range(depth)]
        self.padding = padding
        self.length = 0
        self.ids: Tensor | None = None

    def history(self, ids: Tensor) -> Tensor:
        """The ids [N, S] of whole sequences, of which ids [N, T] are the last."""
        if self.ids is None:
            self.ids = ids
            return ids
        return torch.cat([self.ids.repeat_interleave(len(ids) // len(self.ids), 0), ids], dim=1)

    def attends(self, rows: int, new: int) -> list[Attend]:
        mask = None
        if self.padding is not None:
            padding = self.padding.repeat_interleave(rows // len(self.padding))
            mask = visible_positions(new, self.length + new, padding)
        steps = [layer.read if self.length else layer.fill for layer in self.layers]
        return [partial(step, mask=mask) for step in steps]

    def advance(self, length: int) -> None:
        self.length = self.length or length


BLOCK = 32
"""Own positions of a buffer that is multiplied as a whole; a slice of a longer one is copied."""


class Block(NamedTuple):
    """How one forward pass over T new positions uses a block of own positions.

    ``new`` of them, if any, go to ``places`` of the block; ``future`` [T, S] holds where a new
    position must not look.
    """

    new: slice = slice(0)
    places: Tensor | None = None
    future: Tensor | None = None


def block_of(first: int, size: int, start: int, new: int, device: torch.device) -> Block:
    """The block of own positions ``first`` ... in a pass over the ``new`` ones from ``start``."""
    low, high = max(first, start), min(first + size, start + new)
    if low >= high:
        return Block()
    places = torch.arange(low - first, high - first, device=device)
    queries = torch.arange(start, start + new, device=device)
    future = torch.arange(first, first + size, device=device) > queries[:, None]
    return Block(slice(low - start, high - start), places, future)


class View(NamedTuple):
    """What all layers share in one forward pass over T new positions of each member.

    ``hidden_prompt`` [B * K, 1, P] holds where the prompt holds nothing.
    """

    blocks: list[Block]
    hidden_prompt: Tensor | None


class SamplingLayer:
    """One layer's shared prompt, and blocks of what each member has added."""

    def __init__(self, prompt: PromptLayer, group: int, count: int, size: int) -> None:
        self.group, self.kv_heads = group, prompt.key.shape[1]
        self.prompt_key = prompt.key.flatten(0, 1)  # [B * K, P, D]
        self.prompt_value = prompt.value.flatten(0, 1)
        rows, _, dim = self.prompt_key.shape
        self.keys = [prompt.key.new_zeros(rows, group, size, dim) for _ in range(count)]
        self.values = [torch.zeros_like(key) for key in self.keys]

    def attend(self, query: Tensor, key: Tensor, value: Tensor, view: View) -> Tensor:
        """Attend to the prompt, one matrix product for a whole group, and to the own positions."""
        new, prompt_length = query.shape[2], self.prompt_key.shape[1]
        self.remember(key, value, view)
        query = rearrange(
            query * query.shape[-1] ** -0.5,
            "(b g) (k r) t d -> (b k) (g r t) d",
            g=self.group,
            k=self.kv_heads,
        )
        to_prompt = torch.bmm(query, self.prompt_key.transpose(1, 2))
        if view.hidden_prompt is not None:
            to_prompt = to_prompt.masked_fill(view.hidden_prompt, float("-inf"))
        own_query = query.reshape(len(query) * self.group, -1, query.shape[-1])
        scores = [to_prompt.view(*own_query.shape[:2], -1), *self.to_own(own_query, view.blocks)]
        weights = torch.cat(scores, dim=-1).softmax(dim=-1)
        from_prompt = torch.bmm(
            weights.view(*query.shape[:2], -1)[..., :prompt_length], self.prompt_value
        )
        mixed = from_prompt.view_as(own_query)
        parts = weights[..., prompt_length:].split(self.keys[0].shape[2], dim=-1)
        for part, values in zip(parts, self.values, strict=False):
            mixed = torch.baddbmm(mixed, part, values.flatten(0, 1))
        return rearrange(
            mixed, "(b k g) (r t) d -> (b g) (k r) t d", g=self.group, k=self.kv_heads, t=new
        )

    def to_own(self, query: Tensor, blocks: list[Block]) -> Iterator[Tensor]:
        """Scores [B * K * G, R * T, S] of each block's positions."""
        for block, keys in zip(blocks, self.keys, strict=False):
            scores = torch.bmm(query, keys.flatten(0, 1).transpose(1, 2))
            if block.future is not None:
                future = block.future.repeat(scores.shape[1] // len(block.future), 1)
                scores = scores.masked_fill(future, float("-inf"))
            yield scores

    def remember(self, key: Tensor, value: Tensor, view: View) -> None:
        """Add keys and values [N, K, T, D] to each member's own."""
        for buffers, new in ((self.keys, key), (self.values, value)):
            new = rearrange(new, "(b g) k t d -> (b k) g t d", g=self.group)
            for index, block in enumerate(view.blocks):
                if block.places is not None:
                    part = new[:, :, block.new].to(buffers[index].dtype)
                    buffers[index].index_copy_(2, block.places, part)


class SamplingCache:
    """Shared prompts plus the positions, ``capacity`` at most, that each member has added so far.

    ``static`` keeps all shapes and addresses the same from pass to pass.
    """

    def __init__(
        self, prompt: PromptCache, group_size: int, capacity: int, static: bool = False
    ) -> None:
        self.size = capacity if static else min(BLOCK, capacity)
        count = -(-capacity // self.size)
        self.layers = [SamplingLayer(p, group_size, count, self.size) for p in prompt.layers]
        self.prompt_length = prompt.length
        self.ids: Tensor | None = None
        if prompt.ids is not None:
            own = prompt.ids.new_zeros(len(prompt.ids), capacity)
            self.ids = torch.cat([prompt.ids, own], dim=1).repeat_interleave(group_size, 0)
        self.device = prompt.layers[0].key.device
        self.hidden_prompt: Tensor | None = None
        if prompt.padding is not None:
            positions = torch.arange(prompt.length, device=self.device)
            hidden = positions < prompt.padding[:, None]  # [B, P]
            self.hidden_prompt = repeat(hidden, "b p -> (b k) 1 p", k=self.layers[0].kv_heads)
        self.length: int | Tensor = prompt.length
        if static:
            self.length = torch.tensor(prompt.length, device=self.device)

    def history(self, ids: Tensor) -> Tensor:
        """The ids [N, P + capacity] of whole sequences, with those of the pass, [N, T], written."""
        assert self.ids is not None, "the prompt was read without its history"
        self.ids.index_copy_(1, torch.arange(ids.shape[1], device=self.device) + self.length, ids)
        return self.ids

    def attends(self, rows: int, new: int) -> list[Attend]:
        start = self.length - self.prompt_length
        if isinstance(start, Tensor):
            places = torch.arange(new, device=self.device) + start
            future = torch.arange(self.size, device=self.device) > places[:, None]
            blocks = [Block(slice(None), places, future)]
        else:
            firsts = range(0, start + new, self.size)
            blocks = [block_of(first, self.size, start, new, self.device) for first in firsts]
        view = View(blocks, self.hidden_prompt)
        return [partial(layer.attend, view=view) for layer in self.layers]

    def advance(self, length: int) -> None:
        self.length += length
