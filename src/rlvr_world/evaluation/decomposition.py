"""How much of what RLVR gains is sharpening, which MLE has by its sampling, and how much is beyond.

A policy that only becomes surer of what it says gains reward, too, and so does any model by its
best temperature. What no sampling of the MLE model reaches is what was learned.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from rlvr_world.evaluation.columns import REWARD
from rlvr_world.evaluation.rows import ModelRow
from rlvr_world.files import sha256
from rlvr_world.modules.minimum_bayes_risk import MinimumBayesRisk
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.modules.sharpening import SharpeningWorldModel

NOISE = 2
"""A difference is within noise up to so many standard deviations of it."""


class Difference(NamedTuple):
    """What one mean reward is above another, and the standard deviation of that over seeds."""

    mean: float
    std: float

    @classmethod
    def between(cls, row: tuple[float, float], other: tuple[float, float]) -> "Difference":
        return cls(row[0] - other[0], math.hypot(row[1], other[1]))

    @property
    def is_clear(self) -> bool:
        """Whether it is more than noise; what noise is, a single seed does not say."""
        return not abs(self.mean) <= (0 if math.isnan(self.std) else NOISE * self.std)

    def __str__(self) -> str:
        return f"{self.mean:+.3g}" + (f" ± {self.std:.1g}" if self.std > 0 else "")


def decomposed(
    rewards: Mapping[str, tuple[float, float]],
    rlvr: str,
    mle: str,
    sampled: Sequence[str],
    beside: Sequence[str] = (),
) -> str | None:
    """What the gain of a row over its MLE row is made of, in a sentence.

    Args:
        rewards: Mean and standard deviation over seeds of each row's reward.
        rlvr: The row of the RLVR model.
        mle: The row of the MLE model that it started from, as that samples by itself.
        sampled: Rows of the same MLE model with other ways to sample.
        beside: Rows whose share of the gain is said, too.

    Returns:
        None if a row is missing or has no reward.
    """
    known = {row: cell for row, cell in rewards.items() if math.isfinite(cell[0])}
    others = [row for row in sampled if row in known]
    if rlvr not in known or mle not in known or not others:
        return None
    best = max((mle, *others), key=lambda row: known[row][0])
    gain = Difference.between(known[rlvr], known[mle])
    beyond = Difference.between(known[rlvr], known[best])
    said = f"{rlvr}: {gain} in reward over {mle}"
    if not gain.is_clear:
        return f"{said}, within noise, so no gain."
    if gain.mean < 0:
        return f"{said}, a loss."
    parts = [
        f"{row} has {share(known[row][0] - known[mle][0], gain)}" for row in beside if row in known
    ]
    if beyond.is_clear and beyond.mean < 0:
        without = Difference.between(known[best], known[mle])
        return (
            "; ".join([f"{said}, less than {best} has without training, {without}", *parts]) + "."
        )
    said = f"{said}, of which {share(gain.mean - beyond.mean, gain)} is sharpening"
    if best != mle:
        said = f"{said} ({best} has it without training)"
    if not beyond.is_clear:
        said = f"{said}; what is beyond, {beyond}, is within noise"
    else:
        said = f"{said} and {share(beyond.mean, gain)} is beyond, {beyond}"
    return "; ".join([said, *parts]) + "."


def share(part: float, gain: Difference) -> str:
    """A part of a gain in percent."""
    return f"{100 * part / gain.mean:.0f} %"


def decomposition(rows: Mapping[str, ModelRow], cells: pd.DataFrame) -> dict[str, str]:
    """The sentence of each row of an RLVR model, see ``decomposed``; of those that have one.

    The MLE model is the one whose checkpoint RLVR started from.

    Args:
        rows: The rows of a table.
        cells: Its cells, see ``table.cells``.
    """
    parents = {name: (row.model.provenance.get("parent") or {}) for name, row in rows.items()}
    stages = {name: row.model.provenance.get("stage") for name, row in rows.items()}
    trained = [name for name in rows if stages[name] == RLVRWorldModel.__name__ and parents[name]]
    if not trained or REWARD not in cells.index.get_level_values("metric"):
        return {}
    rewards = {row: (c["mean"], c["std"]) for row, c in cells.xs(REWARD, level="metric").iterrows()}
    digests = {path: sha256(path) for path in {row.path for row in rows.values()}}
    sentences = {}
    for name in trained:
        start = parents[name]["sha256"]
        own = {other: row for other, row in rows.items() if digests[row.path] == start}
        chosen = [n for n, row in own.items() if isinstance(row.sampler, MinimumBayesRisk)]
        plain = [n for n, row in own.items() if row.sampler.is_exact]
        sampled = [n for n in own if n not in (*chosen, *plain)]
        sharpened = [
            n for n, stage in stages.items()
            if stage == SharpeningWorldModel.__name__ and parents[n].get("sha256") == start
        ]  # fmt: skip
        beside = [*chosen, *sharpened]
        said = decomposed(rewards, name, plain[0], sampled, beside) if plain else None
        if said is not None:
            sentences[name] = said
    return sentences
