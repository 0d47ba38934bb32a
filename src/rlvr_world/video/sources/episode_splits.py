"""Which episode belongs to which split."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rlvr_world.data.manifest import SPLITS

SplitRule = Literal["episode", "paper", "file"]
TRAIN, VAL, TEST = range(len(SPLITS))
PAPER_STEP = 100  # every 100th episode is one to test on


def assign_splits(
    named: Sequence[str], rule: SplitRule, val_share: float, test_share: float, seed: int
) -> NDArray[np.int8]:
    """The split of each episode, as an index into ``SPLITS``, from the one that its source names.

    ``episode`` draws the test episodes; ``paper`` tests on every 100th, from the first on; ``file``
    tests on what the source calls ``test`` or, without that, on everything it does not call
    ``train``. Validation episodes are drawn from the rest, unless ``file`` finds both ``val`` and
    ``test``. A share that is not 0 makes at least one episode.
    """
    if min(val_share, test_share) < 0 or val_share + test_share >= 1:
        raise ValueError(
            f"val_share {val_share:g} and test_share {test_share:g} must be at least 0 and leave "
            "something to train on"
        )
    splits = np.full(len(named), TRAIN, np.int8)
    rng = np.random.default_rng(seed)
    if rule == "paper":
        splits[::PAPER_STEP] = TEST
    elif rule == "file":
        splits = by_name(named)
    else:
        draw(splits, TEST, test_share, rng)
    if VAL not in splits:
        draw(splits, VAL, val_share, rng)
    return splits


def by_name(named: Sequence[str]) -> NDArray[np.int8]:
    """The splits that the source has."""
    names = np.asarray(named)
    splits = np.where(names == "train", TRAIN, TEST).astype(np.int8)
    if "test" in named:
        splits[np.char.startswith(names, "val")] = VAL
    return splits


def draw(splits: NDArray[np.int8], split: int, share: float, rng: np.random.Generator) -> None:
    """Move a share of all episodes from training into another split."""
    rest = np.flatnonzero(splits == TRAIN)
    count = max(round(share * len(splits)), 1) if share else 0
    splits[rng.permutation(rest)[: min(count, len(rest) - 1)]] = split
