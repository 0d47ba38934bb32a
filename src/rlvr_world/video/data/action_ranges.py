"""Ranges of actions over a stream, in constant memory."""

import numpy as np
from numpy.typing import NDArray

SAMPLE = 2**17
"""Actions that the quantiles come from: the 1 % quantile is then one of 0.92 to 1.08 % (3 std)."""


class ActionRanges:
    """Extremes and quantiles of each action dimension.

    The extremes are exact. The quantiles are those of a uniform sample of ``SAMPLE`` actions: each
    action draws a seeded number, and those with the smallest numbers are kept. As long as there are
    not more actions than that, all of them are kept and the quantiles are exact.
    """

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.rows: list[NDArray[np.float32]] = []
        self.draws: list[NDArray[np.float64]] = []
        self.waiting = 0
        self.low = self.high = None

    def add(self, actions: NDArray[np.float32]) -> None:
        """Take in the actions [T, A] of one episode."""
        if not len(actions):
            return
        low, high = actions.min(axis=0), actions.max(axis=0)
        self.low = low if self.low is None else np.minimum(self.low, low)
        self.high = high if self.high is None else np.maximum(self.high, high)
        self.rows.append(actions)
        self.draws.append(self.rng.random(len(actions)))
        self.waiting += len(actions)
        if self.waiting > 2 * SAMPLE:
            self._thin_out()

    def ranges(self) -> dict[str, list[float]]:
        """``min``, ``max``, ``q01`` and ``q99`` of each dimension."""
        self._thin_out()
        q01, q99 = np.quantile(self.rows[0], (0.01, 0.99), axis=0)
        rows = {"min": self.low, "max": self.high, "q01": q01, "q99": q99}
        return {name: [float(x) for x in row] for name, row in rows.items()}

    def _thin_out(self) -> None:
        rows, draws = np.concatenate(self.rows), np.concatenate(self.draws)
        if len(draws) > SAMPLE:
            kept = np.argpartition(draws, SAMPLE)[:SAMPLE]
            rows, draws = rows[kept], draws[kept]
        self.rows, self.draws, self.waiting = [rows], [draws], len(draws)
