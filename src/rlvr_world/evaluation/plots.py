"""Plots of tables: lines and heat maps."""

import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

Line = tuple[Sequence[float], Sequence[float]]
"""The places of points and their heights."""

PANEL_INCHES = (3.6, 3.0)
CELL_INCHES = (0.9, 0.45)


class Panel(NamedTuple):
    """Named lines over one axis; on a logarithmic one each place has a tick."""

    title: str
    axis: str
    lines: Mapping[str, Line]
    logarithmic: bool = False


class HeatMap(NamedTuple):
    """Values [rows][columns], good above zero and bad below; None where there is none."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float | None]]


def figure_class() -> type[Any]:
    """The class of figures, which needs no display.

    Raises:
        ModuleNotFoundError: ``matplotlib`` is not installed.
    """
    try:
        return import_module("matplotlib.figure").Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "plots need matplotlib: pip install 'rlvr-world[plots]'"
        ) from error


def write_lines(path: Path, panels: Mapping[str, Mapping[str, Line]], axis: str) -> None:
    """Write a PNG with one panel beside another, each with named lines over a logarithmic axis.

    Args:
        path: The file; its folder must exist.
        panels: Lines by name, by the title of their panel.
        axis: What the horizontal axis shows.
    """
    write_panels(path, [Panel(title, axis, lines, True) for title, lines in panels.items()])


def write_panels(path: Path, panels: Sequence[Panel]) -> None:
    """Write a PNG with one panel of lines beside another; its folder must exist."""
    width, height = PANEL_INCHES
    figure = figure_class()(figsize=(width * len(panels), height), layout="constrained")
    named = {}
    for place, panel in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), place, title=panel.title, xlabel=panel.axis)
        for index, (name, (places, heights)) in enumerate(panel.lines.items()):
            (line,) = axes.plot(places, heights, marker="o", label=name, color=f"C{index}")
            named.setdefault(name, line)
        if panel.logarithmic:
            axes.set_xscale("log")
            ticks = sorted({x for places, _ in panel.lines.values() for x in places})
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=2 * len(panels))
    figure.savefig(path, dpi=150)


def write_heat_maps(path: Path, maps: Sequence[HeatMap]) -> None:
    """Write a PNG with one heat map below another; its folder must exist."""
    wide, high = CELL_INCHES
    width = 2 + wide * max(len(each.columns) for each in maps)
    height = sum(1.2 + high * len(each.rows) for each in maps)
    figure = figure_class()(figsize=(width, height), layout="constrained")
    for place, each in enumerate(maps, 1):
        axes = figure.add_subplot(len(maps), 1, place, title=each.title)
        values = [[math.nan if x is None else x for x in row] for row in each.values]
        bound = max((abs(x) for row in each.values for x in row if x is not None), default=1) or 1
        axes.imshow(values, cmap="RdYlGn", vmin=-bound, vmax=bound, aspect="auto")
        axes.set_xticks(range(len(each.columns)), each.columns, fontsize=7)
        axes.set_yticks(range(len(each.rows)), each.rows)
        for row, line in enumerate(each.values):
            for column, value in enumerate(line):
                text = "-" if value is None else f"{value:+.1f}"
                axes.text(column, row, text, ha="center", va="center", fontsize=8)
    figure.savefig(path, dpi=150)
