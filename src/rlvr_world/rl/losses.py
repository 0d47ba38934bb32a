"""Terms of the GRPO objective, for each token; all arguments [N, T] unless said otherwise."""

import torch
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of ``values`` where ``mask`` holds, over all tokens of the batch."""
    mask = mask.to(values.dtype)
    return (values * mask).sum() / mask.sum().clamp(min=1)


def clipped_surrogate(
    log_probs: Tensor,
    old_log_probs: Tensor,
    advantages: Tensor,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
) -> Tensor:
    """PPO's loss of each token (to minimise), pessimistic outside the trust region.

    Args:
        log_probs: Log-probabilities under the policy that learns.
        old_log_probs: Log-probabilities under the policy that sampled.
        advantages: Advantage of each sequence, [N, 1], or of each token.
        clip_low: The ratio counts no further below 1 than this.
        clip_high: The ratio counts no further above 1 than this.
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
