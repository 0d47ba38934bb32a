"""Credit by the decoder's gradient: what every code would have been worth at each place.

GRPO learns the worth of a token by drawing it. Where rewards are differentiable in what a codec
decodes, one backward pass through the frozen decoder says more: g_i = dR / dz_i, how the reward of
a sampled prediction changes with the point z_i of its i-th token. A token v at that place would
change the reward by g_i . (c_v - z_i) - k/2 . (c_v - z_i)^2, where the members of a group, whose
points and slopes differ, tell the curvature k; so that the policy gradient over all tokens is known
without drawing any of them: its variance is that of the places' contexts only. Without k it would
move the mean of the points to where the reward is best, and see no harm in a spread around it. It
is biased: points far from z_i are judged by a parabola, and what a token does to later ones is not
seen. GRPO's estimate is unbiased and noisy; the two add up.
"""

import torch
from torch import Tensor


def slopes_of(worth: Tensor, points: Tensor) -> Tensor:
    """How the worth [N] of predictions changes with the points [N, K, L] of their tokens."""
    (found,) = torch.autograd.grad(worth.sum(), points)
    return found


def slope_moments(slopes: Tensor, points: Tensor, group_size: int) -> Tensor:
    """How slopes and points go together within groups, and points alone, [2, L].

    Sums over the places of a group's members, both [B * G, K, L], less their group's mean there.
    """
    groups = (x.unflatten(0, (-1, group_size)) for x in (slopes, points))
    slope, point = (x - x.mean(dim=1, keepdim=True) for x in groups)
    return torch.stack([(slope * point).sum(dim=(0, 1, 2)), point.square().sum(dim=(0, 1, 2))])


def curvature(moments: Tensor) -> Tensor:
    """How fast slopes fall along each coordinate, [L], at least 0: a regression on the points."""
    together, alone = moments
    return (-together / alone.clamp(min=1e-9)).clamp(min=0)


def parabolas(slopes: Tensor, points: Tensor, curvature: Tensor) -> Tensor:
    """What points are worth at each place, by their coordinates and by the squares of these.

    Args:
        slopes: How the reward changes with the drawn points, [B * G, K, L].
        points: The drawn points, [B * G, K, L].
        curvature: How fast slopes fall along each coordinate, [L].

    Returns:
        The coefficients of both, [B * G, K, 2 * L]: up to a constant the worth of a point c is
        slope . (c - point) - curvature / 2 . (c - point)^2.
    """
    curved = curvature.expand_as(slopes)
    return torch.cat([slopes + curved * points, -curved / 2], dim=-1)


def expected_worth(logits: Tensor, parabolas: Tensor, points: Tensor) -> Tensor:
    """What the policy's tokens are worth at each place, [K], up to a constant.

    Args:
        logits: Those of K predicted tokens, [K, V], -inf where not legal.
        parabolas: What points are worth there, [K, 2 * L].
        points: The points of all tokens, [V, L].
    """
    terms = torch.cat([points, points.square()], dim=-1)
    return (parabolas * (logits.softmax(dim=-1).to(terms.dtype) @ terms)).sum(dim=-1)
