"""Credit by the decoder's gradient: what every code would have been worth at each place.

GRPO learns the worth of a token by drawing it. Where rewards are differentiable in what a codec
decodes, one backward pass through the frozen decoder says more: g_i = dR / dz_i, how the reward of
a sampled prediction changes with the point z_i of its i-th token. To first order a token v at that
place would change the reward by g_i . (c_v - z_i), so that the policy gradient over all tokens,
E[g_i . c_v], is known without drawing any of them: its variance is that of the places' contexts
only. It is biased: points far from z_i are judged by a straight line, and what a token does to
later ones is not seen. GRPO's estimate is unbiased and noisy; the two add up.
"""

import torch
from torch import Tensor


def slopes_of(worth: Tensor, points: Tensor) -> Tensor:
    """How the worth [N] of predictions changes with the points [N, K, L] of their tokens."""
    (found,) = torch.autograd.grad(worth.sum(), points)
    return found


def expected_worth(logits: Tensor, slopes: Tensor, points: Tensor) -> Tensor:
    """What the policy's tokens are worth at each place to first order, [K], up to a constant.

    Args:
        logits: Those of K predicted tokens, [K, V], -inf where not legal.
        slopes: How the reward changes with their points, [K, L].
        points: The points of all tokens, [V, L].
    """
    expected = logits.softmax(dim=-1).to(points.dtype) @ points
    return (slopes * expected).sum(dim=-1)
