"""Terms of the GRPO objective, for each token; all arguments [N, T] unless said otherwise."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from rlvr_world.types import TokenSequence

ENTROPY_TOKENS = 1024
"""Tokens whose entropies are computed at once, which bounds the memory with large vocabularies."""


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of ``values`` where ``mask`` holds, over all tokens of the batch."""
    mask = mask.to(values.dtype)
    return (values * mask).sum() / mask.sum().clamp(min=1)


def row_mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of each row [N] over the positions where ``mask`` holds; 0 without any."""
    mask = mask.to(values.dtype)
    return (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def token_log_probs(logits: Tensor, sequence: TokenSequence) -> Tensor:
    """The log-probability of each predicted token, [N, T], 0 at given positions.

    ``logits`` [K, V] are those of the K predicted tokens, row after row.
    """
    chosen = -F.cross_entropy(logits, sequence.ids[sequence.target_mask], reduction="none")
    return at_targets(chosen, sequence)


def token_entropy(logits: Tensor, sequence: TokenSequence) -> Tensor:
    """The entropy in nats of what each predicted token was drawn from, [N, T], 0 at given ones.

    Computed a second time in the backward pass instead of being kept. ``logits`` are as for
    ``token_log_probs``, -inf where not legal.
    """
    parts = logits.split(ENTROPY_TOKENS)
    values = [
        checkpoint(entropy, part, use_reentrant=False, preserve_rng_state=False) for part in parts
    ]
    return at_targets(torch.cat(values), sequence)


def entropy(logits: Tensor) -> Tensor:
    """The entropy of distributions [K] in nats from logits [K, V], of which some may be -inf."""
    log_probs = logits.log_softmax(dim=-1)
    return -(log_probs.exp() * log_probs.masked_fill(log_probs.isneginf(), 0.0)).sum(dim=-1)


def at_targets(values: Tensor, sequence: TokenSequence) -> Tensor:
    """Values [K] of the predicted tokens at their positions, [N, T], 0 elsewhere."""
    return values.new_zeros(sequence.ids.shape).masked_scatter(sequence.target_mask, values)


def clipped_surrogate(
    log_probs: Tensor,
    old_log_probs: Tensor,
    advantages: Tensor,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
) -> Tensor:
    """PPO's loss of each token (to minimise), pessimistic outside the trust region.

    The old policy is the one that sampled. ``advantages`` are those of each sequence, [N, 1], or
    token. The ratio counts no further from 1 than ``clip_low`` below and ``clip_high`` above.
    """
    ratio = (log_probs - old_log_probs).exp()
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    return -torch.minimum(ratio * advantages, clipped * advantages)


def clipped_share(
    log_probs: Tensor,
    old_log_probs: Tensor,
    advantages: Tensor,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
) -> Tensor:
    """1 for tokens whose gradient ``clipped_surrogate`` cuts off, 0 for the rest."""
    ratio = (log_probs - old_log_probs).exp()
    too_high = (ratio > 1 + clip_high) & (advantages > 0)
    too_low = (ratio < 1 - clip_low) & (advantages < 0)
    return (too_high | too_low).float()


def kl_k3(log_probs: Tensor, reference_log_probs: Tensor) -> Tensor:
    """Schulman's low-variance estimate of KL(policy || reference) at each sampled token."""
    difference = reference_log_probs - log_probs
    return difference.exp() - difference - 1


def importance_weights(
    log_probs: Tensor, sampled_log_probs: Tensor, mask: Tensor, limit: float = 2.0
) -> Tensor:
    """Truncated importance weight of each token: min(policy / sampling engine, limit), [N, T].

    An inference engine gives the same weights slightly other probabilities than the network that
    learns, so what it samples is off-policy. The weight multiplies the surrogate loss of each
    token; no gradient flows through it. It is 1 where ``mask``, the predicted positions, does not
    hold. Source: Yao, Liu et al., "Your Efficient RL Framework Secretly Brings You Off-Policy RL
    Training" (2025, fengyao.notion.site/off-policy-rl); truncation goes back to Ionides,
    "Truncated Importance Sampling" (2008).
    """
    if limit < 1:
        raise ValueError(f"the limit of importance weights must be at least 1, got {limit}")
    ratio = (log_probs - sampled_log_probs).detach().exp().clamp(max=limit)
    return torch.where(mask, ratio, 1.0)
