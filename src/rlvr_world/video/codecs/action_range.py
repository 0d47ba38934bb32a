"""The ranges of actions that bins are cut from, as a data set's manifest has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from rlvr_world.data.remote import local
from rlvr_world.files import read_json
from rlvr_world.modules.checkpoint import load_checkpoint

KINDS = {"quantile": ("q01", "q99"), "extremes": ("min", "max")}
"""The names of both ends of a range in the manifest."""


class Limits(NamedTuple):
    """Both ends of the range of each action dimension."""

    low: list[float]
    high: list[float]


@dataclass(frozen=True)
class DataRange:
    """Takes the range of each action dimension from a data set.

    A single outlier stretches the range from the smallest to the largest action: of the 256 bins of
    RT-1's three translations, 98 % of the actions then use 22, 4 and 25. Between the quantiles they
    use all; what lies beyond falls into the outermost bins. A dimension whose quantiles are equal
    keeps its extremes, and one that never changes gets a range of 1 around its value.

    Args:
        manifest: ``manifest.json`` of the shards, or its URL.
        kind: ``quantile``, the 1 % and the 99 % quantile, or ``extremes``, the smallest and the
            largest action.
    """

    manifest: str | Path
    kind: Literal["quantile", "extremes"] = "quantile"

    def limits(self) -> Limits:
        """The ranges; ``FileNotFoundError`` or ``ValueError`` where the manifest has none."""
        path = local(self.manifest)
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} does not exist: make the data first, or give action_low and action_high"
            )
        try:
            actions = read_json(path)["actions"]
            ends = [actions[name] for name in (*KINDS[self.kind], "min", "max")]
            ranges = [widened(*row) for row in zip(*ends, strict=True)]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} holds no ranges of actions ({error!r})") from error
        return Limits(*map(list, zip(*ranges, strict=True)))


def widened(low: float, high: float, smallest: float, largest: float) -> tuple[float, float]:
    """A range that is not empty."""
    if low < high:
        return low, high
    if smallest < largest:
        return smallest, largest
    return smallest - 0.5, largest + 0.5


def action_limits(
    low: Sequence[float] | None, high: Sequence[float] | None, data: DataRange | Path | None
) -> Limits:
    """The ranges of a data set, of a world model's checkpoint, or those given as numbers."""
    if isinstance(data, DataRange):
        return data.limits()
    if data is not None:
        ranges = load_checkpoint(data).get("codec", {}).get("action_range")
        if ranges is None:
            raise ValueError(f"{data} holds no ranges of actions: give action_low and action_high")
        return Limits(**ranges)
    if low is None or high is None:
        raise ValueError("give action_low and action_high, or action_range")
    return Limits(list(low), list(high))
