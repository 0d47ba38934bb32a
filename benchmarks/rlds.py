"""Frames per second from TFRecords into shards, beside the original's way into NPZ files.

The rival reads with the ``tfrecord`` package, decodes with Pillow and writes compressed NPZ files,
as the original's converter does with TensorFlow. Both run in one process, so that frames per second
are those of one core. Each case notes the frames per second of processor time, which other programs
on the machine do not lower, and the memory that a source and one ten times as long take.
"""

import argparse
import io
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.data import SHAPES, Shape, picture
from benchmarks.harness import Case, Contender, Work
from benchmarks.memory import Peak, held
from rlvr_world.video.sources.rlds import Features, RLDSConverter

IMAGE = "steps/observation/image"
ACTION = "steps/action/world_vector"
FEATURES = Features(image=IMAGE, actions={ACTION: 3})
PER_SHARD = 8  # so that the shorter source fills a shard, too
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Source:
    """A folder of TFRecords: ``episodes`` episodes in each of ``files`` files."""

    shape: Shape
    episodes: int
    files: int

    @property
    def frames(self) -> int:
        """Frames in the folder."""
        return self.shape.frames * self.episodes * self.files

    def write(self, folder: Path) -> Path:
        """Write it. All files hold the same episodes."""
        from tfrecord.writer import TFRecordWriter

        rng = np.random.default_rng(0)
        paths = [folder / f"rt1-train.tfrecord-{number:05d}" for number in range(self.files)]
        folder.mkdir()
        writer = TFRecordWriter(str(paths[0]))
        for _ in range(self.episodes):
            images = [jpeg(frame) for frame in picture(rng, self.shape)]
            actions = rng.normal(size=3 * len(images)).tolist()
            writer.write({IMAGE: (images, "byte"), ACTION: (actions, "float")})
        writer.close()
        for path in paths[1:]:
            path.write_bytes(paths[0].read_bytes())
        return folder


SOURCES = {
    "tiny": Source(SHAPES["tiny"]["32x40"], 5, 1),
    "full": Source(SHAPES["full"]["256x320"], 10, 1),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def cases(args: argparse.Namespace) -> Iterator[Case]:
    """Frames as they are received, and at half the size."""
    source = SOURCES[args.scale]
    longer = Source(source.shape, source.episodes, 10 * source.files)
    height, width = source.shape.height, source.shape.width
    with tempfile.TemporaryDirectory() as folder:
        short = source.write(Path(folder) / "short")
        long = longer.write(Path(folder) / "long")
        for name, size in {"as received": None, "halved": (height // 2, width // 2)}.items():
            yield Case(
                name,
                f"{source.frames} frames of {height} x {width}",
                "frames",
                Contender("data rlds", lambda size=size: ours(short, size, source.frames)),
                (
                    Contender(
                        "tfrecord, Pillow, NPZ",
                        lambda size=size: theirs(short, size),
                        ("tfrecord",),
                    ),
                ),
                notes(short, long, size, source.frames),
            )


def ours(source: Path, size: tuple[int, int] | None, frames: int) -> Work:
    """Converts into shards."""

    def work() -> int:
        convert(source, size)
        return frames

    return work


def convert(source: Path, size: tuple[int, int] | None) -> None:
    """Convert into a folder that is then deleted."""
    with tempfile.TemporaryDirectory() as root:
        RLDSConverter(
            source, FEATURES, Path(root), image_size=size, episodes_per_shard=PER_SHARD, processes=1
        ).record()


def theirs(source: Path, size: tuple[int, int] | None) -> Work:
    """Converts into NPZ files."""
    from tfrecord.reader import example_loader

    def work() -> int:
        count = 0
        with tempfile.TemporaryDirectory() as root:
            for path in sorted(source.iterdir()):
                for index, values in enumerate(example_loader(str(path), None)):
                    image = np.stack([decoded(data, size) for data in values[IMAGE]])
                    action = values[ACTION].reshape(-1, 3)
                    np.savez_compressed(Path(root) / f"{index}.npz", image=image, action=action)
                    count += len(image)
        return count

    return work


def notes(short: Path, long: Path, size: tuple[int, int] | None, frames: int) -> dict[str, Any]:
    """What two sources take in a process of their own, after a first conversion."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(usage, short, size).result()
        seconds, peak = pool.submit(usage, short, size).result()
        _, long_peak = pool.submit(usage, long, size).result()
    return {
        "frames per CPU second": frames / seconds,
        f"MiB for {frames} frames": peak,
        f"MiB for {10 * frames} frames": long_peak,
    }


def usage(source: Path, size: tuple[int, int] | None) -> tuple[float, float]:
    """Processor seconds, and MiB beyond what was held before."""
    before, start = held(CPU), time.process_time()
    with Peak(CPU) as peak:
        convert(source, size)
        seconds = time.process_time() - start
    return seconds, (peak.bytes - before) / 2**20


def jpeg(frame: np.ndarray) -> bytes:
    """A frame as RT-1 has it."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG")
    return buffer.getvalue()


def decoded(data: bytes, size: tuple[int, int] | None) -> np.ndarray:
    """The pixels of a JPEG file."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return np.asarray(image.resize(size[::-1], Image.Resampling.LANCZOS) if size else image)
