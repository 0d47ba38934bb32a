"""Cells of a table: means over clips, and how they are written."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor


class Cell(NamedTuple):
    """A mean over clips, and its standard deviation over sampling seeds; None with one seed."""

    mean: float
    std: float | None


def summarize(scores: Mapping[str, Tensor]) -> dict[str, Cell]:
    """The cells of a row.

    Args:
        scores: Each metric of every clip and seed, [clips, seeds], NaN where it does not apply.
            One seed stands for a row without randomness if it is given as [clips].

    Returns:
        The mean over clips of each seed, then mean and standard deviation (n - 1) over seeds. A
        metric that applies to no clip is left out.
    """
    cells = {}
    for name, values in scores.items():
        if values.isnan().all():
            continue
        by_seed = values.double().nanmean(dim=0)
        if values.ndim == 1:
            cells[name] = Cell(by_seed.item(), 0.0)
        else:
            std = by_seed.std().item() if len(by_seed) > 1 else None
            cells[name] = Cell(by_seed.mean().item(), std)
    return cells


def columns(metrics: Sequence[str]) -> list[str]:
    """The headings of metrics in a CSV file."""
    return [f"{metric} {part}" for metric in metrics for part in ("mean", "std")]


def numbers(cells: Mapping[str, Cell], metrics: Sequence[str]) -> list[float | str | None]:
    """The cells under ``columns``, empty where there is none."""
    return [number for metric in metrics for number in cells.get(metric, ("", ""))]


def text_of(cell: Cell | None) -> str:
    """A cell as text: 4 digits of the mean, 1 of the standard deviation."""
    if cell is None:
        return "-"
    mean, std = f"{cell.mean:.4g}", cell.std
    return f"{mean} ± {std:.1g}" if std else mean
