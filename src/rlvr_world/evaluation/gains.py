"""The command ``analyse gains``: how much better the rows of tables are than one of their rows."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rlvr_world.evaluation.files import csv_text, json_text, write_whole
from rlvr_world.evaluation.plots import HeatMap, write_heat_maps


class Gain(NamedTuple):
    """A cell of a table and how much better it is than that of the base, in percent.

    ``percent`` is None where the base is zero, ``std`` where there is one seed.
    """

    mean: float
    std: float | None
    percent: float | None


class GainTable(NamedTuple):
    """The gains of a table's models."""

    labels: dict[str, str]
    rows: dict[str, dict[str, Gain]]


def gains(
    tables: dict[str, Path], base: str, output: Path, metrics: list[str] | None = None
) -> dict[str, GainTable]:
    """Write how much better the models of finished tables are than one of them, in percent.

    Writes gains.json, gains.csv and, as heat maps, gains.png.

    Args:
        tables: Files ``table.json`` that ``evaluate`` wrote, by name.
        base: The row that the others are compared with.
        output: Folder for the files.
        metrics: Columns to compare, in order; all of the base's if not given.

    Returns:
        The gains by table.
    """
    found = {name: gain_table(path, base, metrics) for name, path in tables.items()}
    document = {
        name: {
            row: {metric: cell._asdict() for metric, cell in cells.items()}
            for row, cells in table.rows.items()
        }
        for name, table in found.items()
    }
    write_whole(output / "gains.json", json_text({"base": base, "tables": document}))
    heading = ["table", "row", "metric", "mean", "std", "gain %"]
    lines = [
        [name, row, metric, *("" if part is None else part for part in cell)]
        for name, table in found.items()
        for row, cells in table.rows.items()
        for metric, cell in cells.items()
    ]
    write_whole(output / "gains.csv", csv_text([heading, *lines]))
    write_heat_maps(output / "gains.png", [heat_map(n, t, base) for n, t in found.items()])
    return found


def gain_table(path: Path, base: str, metrics: Sequence[str] | None) -> GainTable:
    """The gains of one table.

    Raises:
        FileNotFoundError: There is no such table.
        ValueError: It lacks the base or a metric of it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such table; write it with rlvr-world evaluate")
    table = json.loads(path.read_text())
    rows, better = table["rows"], table["higher_is_better"]
    names = [name for name in rows if name in table["checkpoints"]]
    if base not in names:
        raise ValueError(f"{path}: has no model {base}; base can be one of {', '.join(names)}")
    chosen = metrics or [metric for metric in table["labels"] if metric in rows[base]]
    for metric in chosen:
        if metric not in rows[base]:
            raise ValueError(f"{path}: {base} has no {metric}; metrics are {', '.join(rows[base])}")
    return GainTable(
        {metric: labelled(table, metric) for metric in chosen},
        {
            name: {
                metric: gain(rows[name][metric], rows[base][metric], better[metric])
                for metric in chosen
                if metric in rows[name]
            }
            for name in names
        },
    )


def labelled(table: Mapping[str, Any], metric: str) -> str:
    """The heading of a metric with its good direction."""
    return f"{table['labels'][metric]} {'↑' if table['higher_is_better'][metric] else '↓'}"


def gain(cell: Sequence[float], base: Sequence[float], higher_is_better: bool) -> Gain:
    """How much better a cell (mean, std) is than the base's; positive is better."""
    difference = cell[0] - base[0] if higher_is_better else base[0] - cell[0]
    return Gain(*cell, 100 * difference / abs(base[0]) if base[0] else None)


def heat_map(name: str, table: GainTable, base: str) -> HeatMap:
    """The gains of a table as a picture, the base left out."""
    rows = [row for row in table.rows if row != base]
    values = [[percent(table.rows[row].get(metric)) for metric in table.labels] for row in rows]
    title = f"gain on {base}, %" + (f", {name}" if name else "")
    return HeatMap(title, rows, list(table.labels.values()), values)


def percent(cell: Gain | None) -> float | None:
    """The gain in a cell, if there is one."""
    return None if cell is None else cell.percent
