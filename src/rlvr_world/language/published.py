"""The rows of published files, of which some may be broken."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from rlvr_world.data.samples import BadSample, Read, Skips

R = TypeVar("R")

CHECK_EVERY = 1000  # rows between two looks at the share of broken ones


def sound_rows(
    path: Path,
    rows: Iterable[Any],
    parse: Callable[[Any, str], R],
    noun: str,
    max_skip_share: float,
    counts: Counter[str],
) -> Iterator[R]:
    """What the rows of a file say; those that cannot be read are counted and reported.

    Args:
        path: The file.
        rows: Its rows, one in memory at a time.
        parse: Reads a row, whose name in messages it gets, or raises ``BadSample``.
        noun: What a row is called: ``line`` or ``row``.
        max_skip_share: Stop with a ``ValueError`` if a larger share of rows is broken.
        counts: Gets the numbers of rows read and of broken ones.
    """
    skips = Skips(str(path), 0, max_skip_share)
    for number, row in enumerate(rows, 1):
        try:
            parsed = parse(row, f"{path} {noun} {number}")
            skips.add(Read(1))
            yield parsed
        except BadSample as error:
            skips.add(Read(1, str(error)))
        if number % CHECK_EVERY == 0:
            _check(skips)
    _check(skips)
    if skips.skipped:
        warnings.warn(str(skips), stacklevel=2)
    counts[f"{path.name.split('.')[0]}_{noun}s"] += skips.read
    counts[f"broken_{noun}s"] += skips.skipped


def _check(skips: Skips) -> None:
    if skips.too_many:
        raise ValueError(f"{skips} (max_skip_share is {skips.max_share:g})")
