"""The command ``analyse gains``: how much better the rows of tables are than one of their rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rlvr_world.evaluation.plots import write_heat_maps
from rlvr_world.files import read_json, write_json, write_text


def gains(
    tables: dict[str, Path], base: str, output: Path, metrics: list[str] | None = None
) -> pd.DataFrame:
    """Write how much better the models of finished tables are than one of them, in percent.

    Writes gains.json, gains.csv and, as heat maps, gains.png.

    Args:
        tables: Files ``table.json`` that ``evaluate`` wrote, by name.
        base: The row that the others are compared with.
        output: Folder for the files.
        metrics: Columns to compare, in order; all of the base's if not given.

    Returns:
        For each table, row and metric (the index) the ``mean`` and ``std`` of the table, and by how
        many ``percent`` the mean is better than the base's; NaN where the base is zero.
    """
    found = {name: gain_table(path, base, metrics) for name, path in tables.items()}
    joined = pd.concat({name: table for name, (table, _) in found.items()}, names=["table"])
    document: dict[str, Any] = {}
    for (name, row, metric), cell in joined.astype(object).where(joined.notna(), None).iterrows():
        document.setdefault(name, {}).setdefault(row, {})[metric] = cell.to_dict()
    write_json(output / "gains.json", {"base": base, "tables": document})
    write_text(output / "gains.csv", joined.rename(columns={"percent": "gain %"}).to_csv())
    maps = {}
    for name, (table, headings) in found.items():
        percent = table["percent"].drop(base, level="row").unstack("metric", sort=False)
        maps[f"gain on {base}, %" + (f", {name}" if name else "")] = percent.rename(
            columns=headings
        )
    write_heat_maps(output / "gains.png", maps)
    return joined


def gain_table(
    path: Path, base: str, metrics: Sequence[str] | None
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The gains of one table by row and metric, and the heading of each metric."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such table; write it with rlvr-world evaluate")
    table = read_json(path)
    try:
        rows, better, labels = table["rows"], table["higher_is_better"], table["labels"]
        names = [name for name in rows if name in table["checkpoints"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: no table that rlvr-world evaluate wrote ({error!r})") from error
    if base not in names:
        raise ValueError(f"{path}: has no model {base}; base can be one of {', '.join(names)}")
    chosen = metrics or [metric for metric in labels if metric in rows[base]]
    for metric in chosen:
        if metric not in rows[base]:
            raise ValueError(f"{path}: {base} has no {metric}; metrics are {', '.join(rows[base])}")
    lines = [(n, m, *rows[n][m]) for n in names for m in chosen if m in rows[n]]
    cells = pd.DataFrame(lines, columns=["row", "metric", "mean", "std"], dtype=object)
    cells = cells.set_index(["row", "metric"]).astype(float)
    metric = cells.index.get_level_values("metric")
    reference = metric.map(cells["mean"].xs(base))
    gain = (cells["mean"] - reference).where(metric.map(better), reference - cells["mean"])
    cells["percent"] = 100 * gain / np.abs(reference).where(reference != 0)
    return cells, {m: f"{labels[m]} {'↑' if better[m] else '↓'}" for m in chosen}
