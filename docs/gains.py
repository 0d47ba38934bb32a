"""Draws docs/gains.png from the tables of docs/results: `python docs/gains.py` (extra `plots`).

A gain compares the row of RLVR with another row of the same table. Its interval is the standard
deviation over sampling seeds of both rows, propagated: rows without one count as exact.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import hypot
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"
Number = tuple[float, float]  # mean, standard deviation
Table = dict[str, dict[str, Number]]  # row, column
Compare = Callable[[Number, Number], Number]


@dataclass(frozen=True)
class Rival:
    """What RLVR is compared with: rows, of which each table has one, and how it is drawn."""

    rows: tuple[str, ...]
    label: str
    colour: str
    marker: str
    shift: float


RIVALS = (
    Rival(("mle_equal_time",), "over MLE of equal time", "#1b6ca8", "o", -0.14),
    Rival(
        ("mle_tuned_sampling", "mle_likeliest"),
        "over the best sampling of MLE",
        "#d9822b",
        "D",
        0.14,
    ),
)

VIDEO = {
    "PushT, one frame": ("pusht", "One frame: `make demo`"),
    "PushT, one frame,\nfuller preset": ("pusht", "The fuller preset"),
    "PushT, seven frames": ("pusht", "Seven frames"),
    "Meta-World,\nseven frames": ("metaworld", "Seven frames"),
}

LANGUAGE = {
    "TextWorld, binary": ("textworld", "`make demo-text`", "rlvr_binary", "overall"),
    "TextWorld, task-specific": ("textworld", "`make demo-text`", "rlvr_task_specific", "overall"),
    "ByteSized32, binary": ("bytesized32", "From random weights", "rlvr_binary", "overall"),
    "ByteSized32, task-specific": (
        "bytesized32",
        "From random weights",
        "rlvr_task_specific",
        "overall",
    ),
    "MiniWoB++, known tasks": ("web", "`make demo-web`", "rlvr", "known tasks: F1"),
    "MiniWoB++, held-out tasks": ("web", "`make demo-web`", "rlvr", "held-out tasks: F1"),
    "Shop *": ("web", "Shop", "rlvr", "F1"),
}


def read_table(page: str, heading: str) -> Table:
    """The first table under a heading of a results page."""
    text = (RESULTS / f"{page}.md").read_text()
    section = text.split(f"## {heading}\n", 1)[1]
    block = re.search(r"^(?:\|.*\n)+", section, re.MULTILINE)[0]
    names, _, *rows = (cells(line) for line in block.splitlines())
    return {
        row_name(first): {n: number(c) for n, c in zip(names[1:], rest, strict=True)}
        for first, *rest in rows
    }


def cells(line: str) -> list[str]:
    """The cells of a line of a table."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def row_name(cell: str) -> str:
    """The name in backticks, without remarks."""
    match = re.search(r"`(\w+)`", cell)
    return match[1] if match else cell


def number(cell: str) -> Number:
    """Mean and standard deviation; NaN for a cell without one number."""
    match = re.fullmatch(r"(-?[\d.]+)(?: ± ([\d.]+))?", cell.replace("**", ""))
    return (float(match[1]), float(match[2] or 0)) if match else (float("nan"), 0.0)


def column(row: dict[str, Number], name: str) -> Number:
    """The number of the first column whose title starts with a name."""
    return next(value for title, value in row.items() if title.startswith(name))


def reduction(ours: Number, theirs: Number) -> Number:
    """How much smaller an error is, in percent."""
    ratio = ours[0] / theirs[0]
    return 100 * (1 - ratio), 100 * ratio * hypot(ours[1] / ours[0], theirs[1] / theirs[0])


def difference(ours: Number, theirs: Number) -> Number:
    """How much larger a share is, in points."""
    return ours[0] - theirs[0], hypot(ours[1], theirs[1])


def draw(axes: Axes, gains: list[dict[Rival, Number]], title: str, unit: str) -> None:
    """One panel: a line for each environment, a mark and an interval for each rival."""
    axes.axvline(0, color="#444444", linewidth=1)
    for line, each in enumerate(gains):
        for rival, (mean, std) in each.items():
            axes.errorbar(
                mean,
                line + rival.shift,
                xerr=std,
                fmt=rival.marker,
                color=rival.colour,
                markersize=7,
                elinewidth=2.2,
                capsize=3.5,
                label=rival.label if line == 0 else None,
            )
        if line % 2 == 0:
            axes.axhspan(line - 0.5, line + 0.5, color="#f3f4f6", zorder=0)
    axes.set_ylim(len(gains) - 0.5, -0.5)
    axes.set_title(title, fontsize=11.5, fontweight="bold", loc="left")
    axes.set_xlabel(unit, fontsize=9.5)
    axes.grid(axis="x", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def compared(table: Table, row: str, name: str, compare: Compare) -> dict[Rival, Number]:
    """What a row gains on each rival in the column whose title starts with a name."""
    rows = {rival: next(table[r] for r in rival.rows if r in table) for rival in RIVALS}
    return {
        rival: compare(column(table[row], name), column(theirs, name))
        for rival, theirs in rows.items()
    }


def main() -> None:
    """Draw the picture."""
    figure = Figure(figsize=(11.5, 4.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.15])
    middle.sharex(left)
    video = [read_table(*source) for source in VIDEO.values()]
    for axes, metric in ((left, "LPIPS"), (middle, "MSE")):
        gains = [compared(table, "rlvr", metric, reduction) for table in video]
        draw(axes, gains, f"Video: {metric}", "worse  ←   % less error   →  better")
        axes.set_yticks(range(len(VIDEO)), list(VIDEO) if axes is left else [""] * len(VIDEO))
    gains = [
        compared(read_table(page, heading), row, title, difference)
        for page, heading, row, title in LANGUAGE.values()
    ]
    draw(
        right, gains, "Text games and web pages", "worse  ←   points of accuracy or F1   →  better"
    )
    right.set_yticks(range(len(LANGUAGE)), list(LANGUAGE))
    handles, labels = left.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=10.5
    )
    figure.suptitle("What RLVR gains", fontsize=14, fontweight="bold", x=0.01, ha="left")
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=130)


if __name__ == "__main__":
    main()
