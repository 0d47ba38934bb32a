"""Correction for tokens that another engine than the policy itself has sampled."""

import torch
from torch import Tensor


def importance_weights(
    log_probs: Tensor, sampled_log_probs: Tensor, mask: Tensor, limit: float = 2.0
) -> Tensor:
    """Truncated importance weight of each token: min(policy / sampling engine, limit).

    An inference engine gives the same weights slightly other probabilities than the network that
    learns, so what it samples is off-policy. The weight multiplies the surrogate loss of each
    token; no gradient flows through it. Source: Yao, Liu et al., "Your Efficient RL Framework
    Secretly Brings You Off-Policy RL Training" (2025, fengyao.notion.site/off-policy-rl);
    truncation goes back to Ionides, "Truncated Importance Sampling" (2008).

    Args:
        log_probs: Log-probabilities [N, T] under the policy, with the weights that sampled.
        sampled_log_probs: Log-probabilities [N, T] that the engine reported.
        mask: Predicted positions, [N, T] bool.
        limit: Largest weight, at least 1.

    Returns:
        Weights [N, T] in [0, limit]; 1 where ``mask`` does not hold.

    Raises:
        ValueError: The limit is below 1.
    """
    if limit < 1:
        raise ValueError(f"the limit of importance weights must be at least 1, got {limit}")
    ratio = (log_probs - sampled_log_probs).detach().exp().clamp(max=limit)
    return torch.where(mask, ratio, 1.0)
