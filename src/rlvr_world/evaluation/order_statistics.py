"""What the best of some samples is expected to be."""

from math import comb

import torch
from torch import Tensor


def expected_best(scores: Tensor, size: int, higher_is_better: bool) -> Tensor:
    """The mean, over all choices of ``size`` among N samples, of the best one's score.

    It is an unbiased estimate of the best of ``size`` new samples, and varies less than the best of
    the first ones: with scores sorted from worst to best, the i-th is the best of a choice in
    C(i - 1, size - 1) of C(N, size) cases.

    Args:
        scores: Scores [..., N].
        size: Samples that one may choose from, 1 to N.
        higher_is_better: Whether the best is the largest.

    Returns:
        [...] float64; NaN where a score is.
    """
    count = scores.shape[-1]
    if not 1 <= size <= count:
        raise ValueError(f"the best of {size} cannot be told from {count} samples")
    weights = [comb(i, size - 1) / comb(count, size) for i in range(count)]
    ordered = scores.double().sort(dim=-1, descending=not higher_is_better).values
    return ordered @ torch.tensor(weights, dtype=torch.float64, device=scores.device)
