"""The command ``data to-lerobot``: our recordings as LeRobot data sets of version 3."""

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from rlvr_world.extras import require
from rlvr_world.files import whole, write_json
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.video import episodes
from rlvr_world.video.sources.lerobot import STATES, TABLES

CHUNK, FILE_MB = 1000, 100  # files of a chunk, and about the most in a file, as LeRobot has it
VERSION = 3
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
COUNTS = ("frame_index", "episode_index", "index", "task_index")


def to_lerobot(
    source: Path,
    output: Path,
    fps: int = 10,
    camera: str = "observation.images.top",
    task: str = "",
    robot_type: str | None = None,
) -> None:
    """Write a recording as a LeRobot data set (v3.0), frames as PNG in its tables.

    Args:
        source: Folder of the recording: shards of episodes and their manifest.
        output: Folder to write; it must not be there, or be empty.
        fps: Frames per second that its time stamps say.
        camera: What the frames are called.
        task: What is done in every episode, in words; the name of the source if not given.
        robot_type: What LeRobot calls the robot.

    Raises:
        FileNotFoundError: The source is no recording.
        ValueError: It holds no frames, or the rate is not above 0.
    """
    require("pyarrow", "robots", "Writing LeRobot data")
    manifest = Manifest.load(source)
    shapes = next(iter(manifest.splits.values())).shapes
    if "frames" not in shapes or fps < 1:
        raise ValueError(f"{source}: needs frames and fps of 1 or more: name the recording itself")
    names = {camera: "frames", "action": "actions"}
    names |= {STATES: "states"} if "states" in shapes else {}
    kinds = {name: (*shapes[key],) for name, key in names.items()}
    with whole(output) as folder:
        writer = Writer(folder, fps, task or manifest.source, kinds)
        ends = {}
        for split in manifest.splits:
            first = len(writer.listed)
            for episode in episodes(source, split):
                writer.add({name: episode[key] for name, key in names.items()})
            ends[split] = f"{first}:{len(writer.listed)}"
        writer.close(ends, robot_type)


class Writer:
    """Writes episodes into the files of a data set, one after the other."""

    def __init__(
        self, folder: Path, fps: int, task: str, kinds: Mapping[str, tuple[int, ...]]
    ) -> None:
        self.folder, self.fps, self.task, self.kinds = folder, fps, task, dict(kinds)
        self.listed: list[dict[str, Any]] = []
        self.frames, self.size, self.number = 0, 0, 0
        self.table: Any = None
        self.columns: dict[str, list[NDArray[Any]]] = {}
        self.histograms: dict[str, NDArray[np.int64]] = {}

    def add(self, values: Mapping[str, NDArray[Any]]) -> None:
        """Write one episode: arrays [T, ...] by name, frames uint8 [T, 3, H, W]."""
        length, number = len(values["action"]), len(self.listed)
        steps = np.arange(length)
        counts = (steps, np.full(length, number), self.frames + steps, np.zeros(length, int))
        plain: dict[str, NDArray[Any]] = {"timestamp": (steps / self.fps).astype(np.float32)}
        plain |= dict(zip(COUNTS, counts, strict=True))
        plain |= {n: v for n, v in values.items() if len(self.kinds[n]) == 1}
        films = {n: v for n, v in values.items() if len(self.kinds[n]) == 3}
        pictures = {name: [png(frame) for frame in film] for name, film in films.items()}
        self._write(plain, pictures)
        stats = {name: vector_stats(column) for name, column in plain.items()}
        for name, film in films.items():
            counted = histogram(film)
            self.histograms[name] = self.histograms.get(name, 0) + counted
            stats[name] = picture_stats(counted, length)
        for name, column in plain.items():
            self.columns.setdefault(name, []).append(column)
        self.listed.append(
            {"episode_index": number, "tasks": [self.task], "length": length,
             "data/chunk_index": self.number // CHUNK, "data/file_index": self.number % CHUNK,
             "dataset_from_index": self.frames, "dataset_to_index": self.frames + length,
             "meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}
            | {f"stats/{n}/{key}": value for n, s in stats.items() for key, value in s.items()}
        )  # fmt: skip
        self.frames += length

    def _write(
        self, plain: Mapping[str, NDArray[Any]], pictures: Mapping[str, list[bytes]]
    ) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        table = pa.table(
            {name: column(values) for name, values in plain.items()}
            | {name: [{"bytes": file, "path": None} for file in files]
               for name, files in pictures.items()}
        )  # fmt: skip
        if self.table is not None and self.size + table.nbytes > FILE_MB << 20:
            self.table.close()
            self.table, self.size, self.number = None, 0, self.number + 1
        if self.table is None:
            place = divmod(self.number, CHUNK)
            path = self.folder / TABLES[VERSION].format(*place)
            path.parent.mkdir(parents=True, exist_ok=True)
            self.table = parquet.ParquetWriter(path, table.schema)
        self.table.write_table(table)
        self.size += table.nbytes

    def close(self, splits: Mapping[str, str], robot_type: str | None) -> None:
        """Finish the tables and write what describes them."""
        import pyarrow as pa
        from pyarrow import parquet

        self.table.close()
        meta = self.folder / "meta"
        listing = meta / "episodes" / "chunk-000" / "file-000.parquet"
        listing.parent.mkdir(parents=True)
        parquet.write_table(pa.Table.from_pylist(self.listed), listing)
        pd.DataFrame({"task_index": [0]}, index=[self.task]).to_parquet(meta / "tasks.parquet")
        stats = {name: vector_stats(np.concatenate(c)) for name, c in self.columns.items()}
        stats |= {name: picture_stats(h, self.frames) for name, h in self.histograms.items()}
        write_json(meta / "stats.json", stats)
        write_json(
            meta / "info.json",
            {"codebase_version": "v3.0", "robot_type": robot_type, "fps": self.fps,
             "total_episodes": len(self.listed), "total_frames": self.frames, "total_tasks": 1,
             "chunks_size": CHUNK, "data_files_size_in_mb": FILE_MB, "video_files_size_in_mb": 200,
             "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
             "video_path": None, "splits": dict(splits), "features": dict(self._features())},
        )  # fmt: skip

    def _features(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, shape in self.kinds.items():
            if len(shape) == 3:
                names, kind = ["height", "width", "channels"], "image"
            else:
                names, kind = [f"{name}_{i}" for i in range(*shape)], "float32"
            yield name, {"dtype": kind, "shape": list(shape), "names": names}
        yield "timestamp", {"dtype": "float32", "shape": [1], "names": None}
        for name in COUNTS:
            yield name, {"dtype": "int64", "shape": [1], "names": None}


def png(frame: NDArray[np.uint8]) -> bytes:
    """A frame [3, H, W] as a PNG file."""
    file = BytesIO()
    Image.fromarray(frame.transpose(1, 2, 0)).save(file, "png")
    return file.getvalue()


def column(values: NDArray[Any]) -> Any:
    """An array [T] or [T, N] as a column; with N of 1 a row is the number itself."""
    import pyarrow as pa

    if values.ndim == 1 or values.shape[1] == 1:
        return pa.array(values.reshape(-1))
    return pa.FixedSizeListArray.from_arrays(values.reshape(-1), values.shape[1])


def vector_stats(values: NDArray[Any]) -> dict[str, list[Any]]:
    """Statistics of rows [T] or [T, N], each a list of N numbers; ``count`` is T."""
    rows = values.reshape(len(values), -1).astype(np.float64)
    found = {"min": rows.min(0), "max": rows.max(0), "mean": rows.mean(0), "std": rows.std(0)}
    found |= {name: np.quantile(rows, at, axis=0) for name, at in QUANTILES.items()}
    return {name: number.tolist() for name, number in found.items()} | {"count": [len(rows)]}


def histogram(film: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How often each channel has each value, [3, 256], in frames [T, 3, H, W]."""
    return np.stack([np.bincount(film[:, c].reshape(-1), minlength=256) for c in range(3)])


def picture_stats(counted: NDArray[np.int64], frames: int) -> dict[str, list[Any]]:
    """Statistics of pixels between 0 and 1, each [3, 1, 1], from a histogram of their values."""
    levels = np.linspace(0, 1, 256)
    shares = counted / counted.sum(1, keepdims=True)
    mean = shares @ levels
    found = {
        "min": [levels[row > 0].min() for row in counted],
        "max": [levels[row > 0].max() for row in counted],
        "mean": mean,
        "std": np.sqrt((shares * (levels - mean[:, None]) ** 2).sum(1)),
    }
    for name, at in QUANTILES.items():
        found[name] = levels[(shares.cumsum(1) < at).sum(1).clip(max=255)]
    shaped = {name: np.reshape(value, (3, 1, 1)).tolist() for name, value in found.items()}
    return shaped | {"count": [frames]}
