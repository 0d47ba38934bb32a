"""Clips per second from shards, beside plain ``webdataset`` that cuts the same kind of clips."""

import argparse
import random
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import webdataset
from numpy.typing import NDArray

from benchmarks.harness import Case, Contender, Work
from rlvr_world.data.samples import Sample, write_shard
from rlvr_world.video.data.episodes import jpeg_members
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.video import VideoDataModule

SHARDS = 4
CLIPS_PER_EPISODE = 4
SHUFFLE = 64
KINDS = ("png", "jpg", "npy", "tokens")


@dataclass(frozen=True)
class Shape:
    """Sizes of a data set and of what is read of it; ``tokens`` per frame and from a codebook."""

    height: int
    width: int
    tokens: tuple[int, int]
    actions: int
    frames: int
    episodes: int
    clip: int
    batch: int
    clips: dict[str, int]

    def text(self, kind: str) -> str:
        """The sizes in words."""
        step = f"{self.tokens[0]} tokens" if kind == "tokens" else f"{self.height} x {self.width}"
        return f"clips of {self.clip} of {self.frames} frames, {step}, batches of {self.batch}"


FEW = dict.fromkeys(KINDS, 8)
SHAPES = {
    "tiny": {
        "16x16": Shape(16, 16, (4, 1000), 2, 6, 8, 3, 4, FEW),
        "32x40": Shape(32, 40, (20, 4375), 13, 4, 4, 2, 4, FEW),
    },
    "full": {
        "64x64": Shape(64, 64, (64, 1000), 2, 40, 64, 3, 16, dict.fromkeys(KINDS, 1024)),
        "256x320": Shape(
            256, 320, (320, 4375), 13, 40, 8, 8, 4, dict.fromkeys(KINDS, 32) | {"tokens": 1024}
        ),
    },
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--workers``."""
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[0, 2], help="loading processes to measure"
    )


def cases(args: argparse.Namespace) -> Iterator[Case]:
    """Every format, size and number of workers; the shards last as long as their case."""
    for size, shape in SHAPES[args.scale].items():
        for kind in KINDS:
            with tempfile.TemporaryDirectory() as folder:
                write(Path(folder), shape, kind)
                for workers in args.workers:
                    yield case(Path(folder), size, shape, kind, workers)


def case(root: Path, size: str, shape: Shape, kind: str, workers: int) -> Case:
    """Reading ``shape.clips`` clips through our data module and through plain webdataset."""
    batches = shape.clips[kind] // shape.batch
    return Case(
        f"{kind} {size}, {workers} workers",
        shape.text(kind),
        "clips",
        Contender("VideoDataModule", lambda: reading(ours(root, shape, workers), batches)),
        (Contender("webdataset", lambda: reading(theirs(root, shape, workers), batches)),),
        {"MiB of shards": sum(p.stat().st_size for p in root.glob("*.tar")) / 2**20},
    )


def reading(loader: Callable[[], Iterable[dict[str, Any]]], batches: int) -> Work:
    """Reads that many batches of a new pass and counts their clips."""
    return lambda: sum(len(batch["actions"]) for batch in islice(loader(), batches))


def ours(root: Path, shape: Shape, workers: int) -> Callable[[], Iterable[dict[str, Any]]]:
    """Our training batches."""
    module = VideoDataModule(
        str(root),
        clip_length=shape.clip,
        clips_per_episode=CLIPS_PER_EPISODE,
        batch_size=shape.batch,
        num_workers=workers,
        samples_per_epoch=max(shape.clips.values()),
        shuffle=SHUFFLE,
    )
    module.setup("fit")
    return module.train_dataloader


def theirs(root: Path, shape: Shape, workers: int) -> Callable[[], Iterable[dict[str, Any]]]:
    """Batches of the pipeline that webdataset's own documentation would have one write."""
    urls = [str(path) for path in sorted(root.glob("train-*.tar"))]
    pipeline = (
        webdataset.WebDataset(urls, resampled=True, shardshuffle=False)
        .decode("rgb8")
        .compose(partial(cut, length=shape.clip))
        .shuffle(SHUFFLE, initial=SHUFFLE // 4)
        .batched(shape.batch, collation_fn=stack, partial=False)
    )
    return lambda: webdataset.WebLoader(pipeline, batch_size=None, num_workers=workers)


def cut(samples: Iterable[dict[str, Any]], length: int) -> Iterator[dict[str, Any]]:
    """Random clips of decoded episodes."""
    for sample in samples:
        actions = sample["actions.npy"]
        whole = {"actions": actions}
        if "tokens.npy" in sample:
            whole["tokens"] = sample["tokens.npy"].astype(np.int64)
        else:
            whole["frames"] = episode_frames(sample, len(actions))
        for _ in range(CLIPS_PER_EPISODE):
            start = random.randrange(len(actions) - length + 1)
            yield {name: array[start : start + length] for name, array in whole.items()}


def episode_frames(sample: dict[str, Any], length: int) -> NDArray[np.uint8]:
    """Frames [T, 3, H, W] of a decoded episode of any format."""
    if "frames.png" in sample:
        strip = sample["frames.png"]
        frames = strip.reshape(length, -1, *strip.shape[1:])
    elif "frames.npy" in sample:
        frames = sample["frames.npy"]
    else:
        frames = np.stack([sample[name] for name in sorted(sample) if name.endswith(".jpg")])
    return frames.transpose(0, 3, 1, 2)


def stack(clips: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """A batch of clips."""
    return {name: torch.from_numpy(np.stack([c[name] for c in clips])) for name in clips[0]}


def write(root: Path, shape: Shape, kind: str) -> None:
    """The shards of a data set, and their manifest."""
    rng = np.random.default_rng(0)
    for shard in range(SHARDS):
        samples = [
            episode(rng, shape, kind, f"train-{shard}-{index}")
            for index in range(shape.episodes // SHARDS)
        ]
        write_shard(root / f"train-{shard:06d}.tar", samples)
    Manifest.build(root, "benchmark", {}).save(root)


def episode(rng: np.random.Generator, shape: Shape, kind: str, key: str) -> Sample:
    """A synthetic episode; its actions are noise."""
    actions = rng.standard_normal((shape.frames, shape.actions)).astype(np.float32)
    members: dict[str, Any] = {"actions.npy": actions, "json": {"tokenizer": "none"}}
    if kind == "tokens":
        tokens, codes = shape.tokens
        members["tokens.npy"] = rng.integers(codes, size=(shape.frames, tokens)).astype(np.uint16)
    else:
        frames = picture(rng, shape)
        members |= jpeg_members(frames) if kind == "jpg" else {f"frames.{kind}": frames}
    return key, members


def picture(rng: np.random.Generator, shape: Shape) -> NDArray[np.uint8]:
    """Frames [T, H, W, 3]: a shaded background with a camera's noise and a disc that moves."""
    rows, columns = np.mgrid[0 : 1 : shape.height * 1j, 0 : 1 : shape.width * 1j]
    across, down = rng.uniform(4, 12, (2, 3))
    waves = np.sin(down * rows[..., None] + across * columns[..., None])
    background = 128 + 80 * waves + rng.normal(0, 2, (shape.height, shape.width, 3))
    frames = np.repeat(background[None], shape.frames, axis=0)
    for time, frame in enumerate(frames):
        distance = np.hypot(rows - 0.5, columns - 0.2 - 0.6 * time / shape.frames)
        frame[distance < 0.1] = (220, 60, 40)
    return frames.clip(0, 255).astype(np.uint8)
