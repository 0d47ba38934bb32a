"""Causal attention: H query heads, K key-value heads, T new positions of S in all, D dimensions."""

import torch
import torch.nn.functional as F
from torch import Tensor


def visible_positions(new: int, total: int, padding: Tensor) -> Tensor:
    """Which of ``total`` positions the last ``new`` see, [B, 1, T, S] bool.

    Args:
        new: T, the number of positions that look.
        total: S, the number of positions in all.
        padding: The number of leading positions of each row that hold nothing, [B]. They see
            themselves, so that every position sees something.
    """
    past = torch.ones(new, total, dtype=torch.bool, device=padding.device).tril(total - new)
    itself = past & ~past.tril(-1 + total - new)
    filled = torch.arange(total, device=padding.device) >= padding[:, None]  # [B, S]
    return ((past & filled[:, None]) | itself)[:, None]


def causal_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Attention of the last T of S positions.

    Args:
        query: [N, H, T, D].
        key: [N, K, S, D].
        value: [N, K, S, D].
        mask: Which positions see which, [N, 1, T, S] bool; all that came before if not given.
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
