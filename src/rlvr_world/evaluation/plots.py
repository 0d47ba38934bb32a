"""Line plots of tables."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

Line = tuple[Sequence[float], Sequence[float]]
"""The places of points and their heights."""

PANEL_INCHES = (3.6, 3.0)


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
    width, height = PANEL_INCHES
    figure = figure_class()(figsize=(width * len(panels), height), layout="constrained")
    for place, (title, lines) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(1, len(panels), place, title=title, xlabel=axis, xscale="log")
        for name, (places, heights) in lines.items():
            axes.plot(places, heights, marker="o", label=name)
        ticks = sorted({x for places, _ in lines.values() for x in places})
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=150)
