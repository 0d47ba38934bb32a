"""How far two worlds judge policies alike.

Outcomes are [P, N]: 0 or 1 of P policies, each from the same N starts.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Outcomes = NDArray[np.float64]
Rates = NDArray[np.float64]


def mean_difference(real: Rates, other: Rates) -> float:
    """The mean absolute difference of success rates [P]."""
    return float(np.abs(real - other).mean())


def correlation(real: Rates, other: Rates) -> float:
    """Pearson's correlation of success rates [P]; NaN where one world rates all alike."""
    a, b = real - real.mean(), other - other.mean()
    norm = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / norm) if norm > 1e-12 else float("nan")


def rank_violation(real: Rates, other: Rates) -> float:
    """The mean maximum rank violation of success rates [P], after SIMPLER.

    For each policy the largest real difference to another one that the other world ranks the other
    way round, or, where one world only sees a tie, not at all; their mean.
    """
    gaps = np.abs(real[:, None] - real)
    wrong = (other[:, None] < other) != (real[:, None] < real)
    return float((gaps * wrong).max(axis=1).mean())


MEASURES: Mapping[str, Callable[[Rates, Rates], float]] = {
    "difference": mean_difference,
    "correlation": correlation,
    "rank_violation": rank_violation,
}


def agreement(
    real: Mapping[str, Outcomes], other: Mapping[str, Outcomes], draws: int = 2000, seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """Each measure as a mean over tasks, with the ends of its 95 % interval.

    The intervals are those of a bootstrap over starts, which are drawn anew with all that was done
    from them, by each policy and in both worlds. A task whose correlation is not defined is left
    out of the mean.

    Args:
        real: Outcomes by task.
        other: Those in the other world.
        draws: How often the starts are drawn.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    whole = {task: np.arange(outcomes.shape[1]) for task, outcomes in real.items()}
    value = measured(real, other, whole)
    drawn = [
        measured(real, other, {task: rng.choice(rows, len(rows)) for task, rows in whole.items()})
        for _ in range(draws)
    ]
    found = {}
    for name in MEASURES:
        values = np.array([each[name] for each in drawn])
        values = values[~np.isnan(values)]
        low, high = np.quantile(values, [0.025, 0.975]) if len(values) else (np.nan, np.nan)
        found[name] = (value[name], float(low), float(high))
    return found


def measured(
    real: Mapping[str, Outcomes],
    other: Mapping[str, Outcomes],
    rows: Mapping[str, NDArray[np.int64]],
) -> dict[str, float]:
    """The means over tasks of each measure, of the starts with the given indices."""
    found: dict[str, list[float]] = {name: [] for name in MEASURES}
    for task, picked in rows.items():
        rates = [world[task][:, picked].mean(axis=1) for world in (real, other)]
        for name, measure in MEASURES.items():
            value = measure(rates[0], rates[1])
            if not np.isnan(value):
                found[name].append(value)
    return {name: float(np.mean(v)) if v else float("nan") for name, v in found.items()}
