"""Plots of tables: lines and heat maps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rlvr_world.extras import require
from rlvr_world.files import whole

PANEL_INCHES = (3.6, 3.0)
CELL_INCHES = (0.9, 0.45)


class Panel(NamedTuple):
    """Lines by name, as places on an axis and heights; a logarithmic one has a tick at each."""

    title: str
    axis: str
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    logarithmic: bool = False


def figure_class() -> type[Any]:
    """The class of figures, which needs no display."""
    return require("matplotlib.figure", "plots", "A plot").Figure


def write_panels(path: Path, panels: Sequence[Panel]) -> None:
    """Write a PNG with one panel of lines beside another."""
    width, height = PANEL_INCHES
    figure = figure_class()(figsize=(width * len(panels), height), layout="constrained")
    named: dict[str, Any] = {}
    for number, panel in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), number, title=panel.title, xlabel=panel.axis)
        for index, (name, (places, heights)) in enumerate(panel.lines.items()):
            (line,) = axes.plot(places, heights, marker="o", label=name, color=f"C{index}")
            named.setdefault(name, line)
        if panel.logarithmic:
            axes.set_xscale("log")
            ticks = sorted({x for places, _ in panel.lines.values() for x in places})
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=2 * len(panels))
    write(path, figure)


def write_heat_maps(path: Path, maps: Mapping[str, pd.DataFrame]) -> None:
    """Write a PNG of heat maps, one below another: values by title, NaN where there is none."""
    wide, high = CELL_INCHES
    width = 2 + wide * max(len(values.columns) for values in maps.values())
    height = sum(1.2 + high * len(values) for values in maps.values())
    figure = figure_class()(figsize=(width, height), layout="constrained")
    for number, (title, values) in enumerate(maps.items(), 1):
        axes = figure.add_subplot(len(maps), 1, number, title=title)
        cells = values.to_numpy(float)
        bound = np.abs(cells[~np.isnan(cells)]).max(initial=0) or 1
        axes.imshow(cells, cmap="RdYlGn", vmin=-bound, vmax=bound, aspect="auto")
        axes.set_xticks(range(len(values.columns)), values.columns, fontsize=7)
        axes.set_yticks(range(len(values)), values.index)
        for (row, column), value in np.ndenumerate(cells):
            text = "-" if np.isnan(value) else f"{value:+.1f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=8)
    write(path, figure)


def write(path: Path, figure: Any) -> None:
    """Write a figure as PNG, whole or not at all."""
    with whole(path) as unfinished:
        figure.savefig(unfinished, dpi=150, format="png")
