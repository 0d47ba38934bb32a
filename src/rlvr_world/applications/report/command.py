"""The command ``report``: one HTML page of what a run folder holds, without anything beside it."""

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
from numpy.typing import NDArray
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlvr_world.evaluation.curves import read_run
from rlvr_world.evaluation.table import cell_text
from rlvr_world.files import read_json, write_text
from rlvr_world.modules.checkpoint import load_checkpoint

PICTURES = (".png", ".jpg", ".jpeg", ".gif")
MOST_PICTURE_BYTES, MOST_PICTURES = 1 << 23, 24
WIDTH, HEIGHT = 320, 120
"""Size of a curve's drawing, in its own units."""


class Curve(NamedTuple):
    """One tag of a run, drawn: ``points`` of an SVG polyline, and the numbers at its ends."""

    tag: str
    points: str
    batches: int
    first: float
    last: float
    least: float
    most: float


def report(run: Path, output: Path | None = None) -> Path:
    """Write one HTML page of a run folder: curves, tables, pictures, config, provenance.

    The page needs no other file and loads nothing, and texts of the run stay texts in it.

    Args:
        run: Folder of a run, such as checkpoints/pusht/rlvr, or of a preset's runs.
        output: The page; ``report.html`` in the folder if not given.

    Returns:
        The page.

    Raises:
        FileNotFoundError: There is nothing in the folder to report.
        ValueError: A file of it cannot be read, or is a link that leads out of it.
    """
    for path in (*run.glob("*"), *run.glob("*/*")):
        leaves = path.is_symlink() and not path.resolve().is_relative_to(run.resolve())
        if leaves and path.is_file() and path.suffix != ".ckpt":
            raise ValueError(f"{path}: leads out of the folder, so the page must not show it")
    folders = [path for path in (run, *sorted(run.glob("*"))) if (path / "config.yaml").is_file()]
    places = list(dict.fromkeys((run, *folders)))
    tables = [found for folder in places for found in table(folder)]
    if not folders and not tables:
        raise FileNotFoundError(f"{run}: holds no run and no table.json; give the folder of a run")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    page = environment.get_template("page.html").render(
        name=run.absolute().name, tables=tables, runs=[about(folder) for folder in folders],
        pictures=[each for folder in places for each in pictures(folder)], width=WIDTH,
        height=HEIGHT,
    )  # fmt: skip
    path = output or run / "report.html"
    write_text(path, page)
    return path


def about(folder: Path) -> dict[str, Any]:
    """What the page says of one run."""
    finished = folder / "finished.json"
    return {
        "name": folder.absolute().name,
        "config": (folder / "config.yaml").read_text(encoding="utf-8", errors="replace"),
        "provenance": json.dumps(provenance(folder), indent=1, default=str),
        "seconds": read_json(finished).get("seconds") if finished.is_file() else None,
        "curves": list(curves(folder)),
        "filmstrip": [data_url(picture, kind_of(picture)) for picture in logged(folder)],
    }


def provenance(folder: Path) -> dict[str, Any]:
    """What the run's last checkpoint says of itself; empty without one."""
    checkpoints = sorted((folder / "checkpoints").glob("*.ckpt"))
    if not checkpoints:
        return {}
    return dict(load_checkpoint(checkpoints[-1]).get("provenance", {}))


def curves(folder: Path) -> Iterator[Curve]:
    """The curves of what a run logged."""
    if not any(folder.glob("events.out.tfevents.*")):
        return
    for tag, points in read_run(folder).groupby("tag", sort=True):
        places, values = points["batches"].to_numpy(float), points["value"].to_numpy(float)
        finite = np.isfinite(values)
        if finite.sum() > 1:
            yield drawn(str(tag), places[finite], values[finite])


def drawn(tag: str, places: NDArray[np.float64], values: NDArray[np.float64]) -> Curve:
    """A curve, thinned to as many points as can be seen."""
    keep = np.unique(np.linspace(0, len(places) - 1, WIDTH).round().astype(int))
    x = (places - places.min()) / (np.ptp(places) or 1) * WIDTH
    y = HEIGHT - (values - values.min()) / (np.ptp(values) or 1) * HEIGHT
    line = " ".join(f"{x[at]:.1f},{y[at]:.1f}" for at in keep)
    numbers = (values[0], values[-1], values.min(), values.max())
    return Curve(tag, line, int(places.max()), *map(float, numbers))


def logged(folder: Path) -> Iterator[bytes]:
    """The last picture of predictions that a run logged, and the last that moves, if any."""
    for file in sorted(folder.glob("events.out.tfevents.*"))[-1:]:
        events = EventAccumulator(str(file), size_guidance={"images": 1})
        events.Reload()
        for tag in events.Tags()["images"]:
            yield events.Images(tag)[-1].encoded_image_string


def table(folder: Path) -> Iterator[dict[str, Any]]:
    """The table of a folder as texts, if it holds one."""
    path = folder / "table.json"
    if not path.is_file():
        return
    document = read_json(path)
    try:
        labels, better = document.pop("labels"), document.pop("higher_is_better")
        rows = {
            name: [cell(cells.get(metric)) for metric in labels]
            for name, cells in document.pop("rows").items()
        }
        heads = [f"{labels[metric]} {'↑' if better[metric] else '↓'}" for metric in labels]
        document.pop("breakdown", None)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path}: is no table that evaluate wrote ({error!r})") from error
    about = json.dumps(document, indent=1, ensure_ascii=False)
    yield {"name": folder.absolute().name, "heads": heads, "rows": rows, "about": about}


def cell(value: Any) -> str:
    """A cell of a table, ``[mean, std]`` or nothing, as text."""
    if value is None:
        return "-"
    mean, std = (float("nan") if each is None else float(each) for each in value)
    return cell_text(mean, std)


def pictures(folder: Path) -> Iterator[dict[str, str]]:
    """The pictures beside a run's files; larger ones and further ones are named only."""
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    for number, path in enumerate(found):
        fits = number < MOST_PICTURES and path.stat().st_size <= MOST_PICTURE_BYTES
        kind = f"image/{path.suffix[1:].lower()}"
        yield {"name": path.name, "url": data_url(path.read_bytes(), kind) if fits else ""}


def kind_of(content: bytes) -> str:
    """The type of a picture that a run logged."""
    return "image/gif" if content.startswith(b"GIF8") else "image/png"


def data_url(content: bytes, kind: str) -> str:
    """An address that holds a picture."""
    return f"data:{kind};base64,{b64encode(content).decode()}"
