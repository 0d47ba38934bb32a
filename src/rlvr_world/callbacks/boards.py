"""Where the pictures, clips and tables of a run go: one adapter for each kind of logger."""

import html
import io
import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import fsspec
import numpy as np
from lightning import Trainer
from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.logger import DummyLogger
from numpy.typing import NDArray
from PIL import Image

from rlvr_world.callbacks.trackio_logger import TrackioLogger

Pixels = NDArray[np.uint8]


class Table(NamedTuple):
    """Words and numbers in named columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def markdown(self) -> str:
        """The table as Markdown, each cell on one line."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join("| " + " | ".join(cell(value) for value in line) + " |" for line in lines)


class Board(ABC):
    """Shows pictures, clips and tables where a logger writes its numbers.

    Args:
        logger: The logger.
    """

    def __init__(self, logger: Any) -> None:
        self.logger = logger

    @abstractmethod
    def picture(self, name: str, pixels: Pixels, step: int) -> None:
        """Show a picture [H, W, 3]."""

    @abstractmethod
    def clip(self, name: str, gif: bytes, step: int) -> None:
        """Show a clip, a file of the GIF format."""

    @abstractmethod
    def table(self, name: str, table: Table, step: int) -> None:
        """Show a table."""


class TensorBoardBoard(Board):
    """Images, of which some move, and Markdown."""

    def picture(self, name: str, pixels: Pixels, step: int) -> None:
        self.logger.experiment.add_image(name, pixels, step, dataformats="HWC")

    def clip(self, name: str, gif: bytes, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        width, height = Image.open(io.BytesIO(gif)).size
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=gif)
        summary = Summary(value=[Summary.Value(tag=name, image=image)])
        self.logger.experiment._get_file_writer().add_summary(summary, step)

    def table(self, name: str, table: Table, step: int) -> None:
        self.logger.experiment.add_text(name, table.markdown(), step)


class WandbBoard(Board):
    """Media and tables of Weights & Biases."""

    def picture(self, name: str, pixels: Pixels, step: int) -> None:
        self.logger.log_image(name, [pixels], step)

    def clip(self, name: str, gif: bytes, step: int) -> None:
        self.logger.log_video(name, [io.BytesIO(gif)], step, format=["gif"])

    def table(self, name: str, table: Table, step: int) -> None:
        self.logger.log_table(
            name, list(table.columns), [list(row) for row in table.rows], step=step
        )


class TrackioBoard(Board):
    """Media and tables of trackio."""

    def picture(self, name: str, pixels: Pixels, step: int) -> None:
        import trackio

        self.logger.log_metrics({name: trackio.Image(pixels)}, step)

    def clip(self, name: str, gif: bytes, step: int) -> None:
        import trackio

        with TemporaryDirectory() as folder:
            path = Path(folder, "clip.gif")
            path.write_bytes(gif)
            self.logger.log_metrics({name: trackio.Video(path, format="gif")}, step)

    def table(self, name: str, table: Table, step: int) -> None:
        import trackio

        rows = [list(row) for row in table.rows]
        self.logger.log_metrics({name: trackio.Table(list(table.columns), rows)}, step)


class MLFlowBoard(Board):
    """Images and other artefacts of MLflow; rows of a table have their step in a column."""

    def picture(self, name: str, pixels: Pixels, step: int) -> None:
        client = self.logger.experiment
        client.log_image(self.logger.run_id, pixels, key=name, step=step)

    def clip(self, name: str, gif: bytes, step: int) -> None:
        client = self.logger.experiment
        with TemporaryDirectory() as folder:
            path = Path(folder, f"{step:08d}.gif")
            path.write_bytes(gif)
            client.log_artifact(self.logger.run_id, str(path), name)

    def table(self, name: str, table: Table, step: int) -> None:
        columns = {key: list(cells) for key, cells in columns_of(table, step).items()}
        self.logger.experiment.log_table(self.logger.run_id, columns, f"{name}.json")


class CSVBoard(Board):
    """PNG, GIF and JSONL files beside metrics.csv, pictures in a folder for each name."""

    def picture(self, name: str, pixels: Pixels, step: int) -> None:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        self.write(f"{name}/{step:08d}.png", buffer.getvalue())

    def clip(self, name: str, gif: bytes, step: int) -> None:
        self.write(f"{name}/{step:08d}.gif", gif)

    def table(self, name: str, table: Table, step: int) -> None:
        cells = columns_of(table, step)
        rows = [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        self.write(f"{name}.jsonl", text.encode(), "ab")

    def write(self, name: str, content: bytes, mode: str = "wb") -> None:
        """Write or extend a file in the logger's folder, which the logger makes first."""
        assert self.logger.experiment is not None
        with fsspec.open(f"{self.logger.log_dir}/{name}", mode) as file:
            file.write(content)


BOARDS: dict[type, type[Board]] = {
    TensorBoardLogger: TensorBoardBoard,
    WandbLogger: WandbBoard,
    TrackioLogger: TrackioBoard,
    MLFlowLogger: MLFlowBoard,
    CSVLogger: CSVBoard,
}


def boards(trainer: Trainer) -> list[Board]:
    """Those of a trainer's loggers that can show pictures; none on other ranks than the first.

    A logger of another kind is named in one warning.
    """
    found: list[Board] = []
    for logger in trainer.loggers if trainer.is_global_zero else ():
        kind = next((BOARDS[kind] for kind in BOARDS if isinstance(logger, kind)), None)
        if kind is not None:
            found.append(kind(logger))
        elif not isinstance(logger, DummyLogger):
            warn_of(type(logger))
    return found


@cache
def warn_of(logger: type) -> None:
    """Warn once of a logger that gets numbers only."""
    known = ", ".join(kind.__name__ for kind in BOARDS)
    warnings.warn(
        f"{logger.__name__} gets no pictures, clips and tables, which only {known} can show",
        stacklevel=3,
    )


def columns_of(table: Table, step: int) -> dict[str, Sequence[Any]]:
    """The cells of each column, the step before them."""
    cells = zip(*table.rows, strict=True) if table.rows else [()] * len(table.columns)
    return {"step": [step] * len(table.rows)} | dict(zip(table.columns, cells, strict=True))


def cell(value: Any) -> str:
    """A number, or any text, as one cell of a Markdown table."""
    text = f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())
    return html.escape(text, quote=False).replace("|", "&#124;") or " "


def animation(frames: Pixels, per_second: float = 5.0) -> bytes:
    """A file of the GIF format, which repeats for ever, of frames [T, H, W, 3]."""
    first, *others = map(Image.fromarray, frames)
    buffer, duration = io.BytesIO(), round(1000 / per_second)
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=duration, loop=0)
    return buffer.getvalue()
