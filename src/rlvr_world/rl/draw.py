"""Drawing tokens from logits."""

import torch
from torch import Tensor


def draw(probs: Tensor, uniforms: Tensor) -> Tensor:
    """One token per row by inverting the cumulated probabilities.

    Args:
        probs: Probabilities [N, V]; they need not add up to 1.
        uniforms: Random numbers in [0, 1), [N] float64. One for each row is all it takes, and
            the same number gives the same token in a batch of any size.
    """
    mass = probs.double().cumsum(-1)
    threshold = uniforms[:, None] * mass[:, -1:]
    tokens = torch.searchsorted(mass, threshold, right=True).squeeze(1)
    return tokens.clamp(max=probs.shape[-1] - 1)


def truncate(probs: Tensor, top_k: int | None, top_p: float | None) -> Tensor:
    """Zero the tokens outside the k most likely and outside the nucleus of mass p, [N, V]."""
    if top_k is not None and top_k < probs.shape[-1]:
        threshold = probs.topk(top_k, dim=-1).values[..., -1:]
        probs = probs.where(probs >= threshold, 0.0)
    if top_p is not None and top_p < 1:
        ordered, order = (probs / probs.sum(-1, keepdim=True)).sort(dim=-1, descending=True)
        outside = (ordered.cumsum(-1) - ordered) >= top_p
        probs = probs.masked_fill(outside.gather(-1, order.argsort(-1)), 0.0)
    return probs
