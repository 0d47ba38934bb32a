"""How sure measured rates and differences are: 95 % intervals."""

import math
from collections.abc import Sequence

import numpy as np

QUANTILE = 1.959964
"""Of the normal distribution, for 95 %."""

DRAWS = 10_000


def wilson(successes: int, count: int) -> tuple[float, float]:
    """Wilson's score interval of a rate, in [0, 1] (Wilson, 1927)."""
    if count == 0:
        return 0.0, 1.0
    rate, square = successes / count, QUANTILE**2
    middle = (rate + square / (2 * count)) / (1 + square / count)
    spread = math.sqrt(rate * (1 - rate) / count + square / (4 * count**2))
    half = QUANTILE * spread / (1 + square / count)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def bootstrap(values: Sequence[float], groups: Sequence[str], seed: int = 0) -> tuple[float, float]:
    """The percentile interval of the mean over episodes, drawn anew within each group.

    Args:
        values: One value for each episode; a difference of two agents on the same page for a paired
            comparison.
        groups: The task of each episode; every draw has as many episodes of each task.
        seed: Of the draws.
    """
    rng, total = np.random.default_rng(seed), np.zeros(DRAWS)
    array, names = np.asarray(values, float), np.asarray(groups)
    for name in sorted(set(groups)):
        own = array[names == name]
        total += own[rng.integers(len(own), size=(DRAWS, len(own)))].sum(1)
    low, high = np.quantile(total / len(array), (0.025, 0.975))
    return float(low), float(high)
