"""What environments of several rows are told, checked before anything is done with it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def start_numbers(options: Mapping[str, Any] | None, rows: int) -> NDArray[np.int64] | None:
    """The numbers of start states of all rows that options name, [rows]; None without any.

    Raises:
        ValueError: They are no such numbers, or there is another option.
    """
    named = options or {}
    if unknown := named.keys() - {"start"}:
        raise ValueError(f"options: there is no {min(unknown)}; there is start")
    if named.get("start") is None:
        return None
    given = np.asarray(named["start"])
    if given.dtype.kind not in "iu" or given.shape not in ((), (rows,)):
        raise ValueError(
            f"options: start must be a number, or {rows} of them, got {named['start']!r}"
        )
    return np.broadcast_to(given, rows).astype(np.int64)


def row_seeds(seed: int | Sequence[int | None] | None, rows: int) -> list[int | None]:
    """The seed of each row: those of ``seed``, or the first of consecutive ones.

    Raises:
        ValueError: There are not as many as rows.
    """
    if seed is None:
        return [None] * rows
    if isinstance(seed, int | np.integer):
        return [int(seed) + row for row in range(rows)]
    if len(seed) != rows:
        raise ValueError(f"seed must be one number, or {rows}, got {len(seed)}")
    return list(seed)


def check_actions(actions: Any, rows: int) -> None:
    """Raise ``ValueError`` unless there is an action of each row."""
    if isinstance(actions, str) or len(actions) != rows:
        got = "one text" if isinstance(actions, str) else len(actions)
        raise ValueError(f"step needs {rows} actions, one of each row, got {got}")


def check_whole(**values: Any) -> None:
    """Raise ``ValueError`` unless values are whole numbers of at least 1."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")


def each_row(values: Iterable[Any]) -> NDArray[Any]:
    """One thing for each row, [rows] of objects, as gymnasium has them."""
    return np.fromiter(values, dtype=object)
