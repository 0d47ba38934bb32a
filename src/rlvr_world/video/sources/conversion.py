"""Shards of episodes that come from a published data set."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from rlvr_world.data.manifest import SPLITS
from rlvr_world.data.samples import Sample, write_shard
from rlvr_world.files import claim, write_json
from rlvr_world.jobs import in_processes, progress_bar
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.sources.episodes import (
    BadEpisode,
    Episode,
    EpisodeReader,
    ImageFormat,
    SplitRule,
    assign_splits,
    frame_members,
)

Indices = NDArray[np.int64]
Shapes = dict[str, tuple[int, ...]]
Make = Callable[[Episode], tuple[dict[str, Any], Shapes]]
NAMED = 100  # skipped episodes that the manifest names
TRIES = 100  # episodes that may be bad before the first good one


class EpisodeConverter(ABC):
    """Converts the episodes of a published data set into shards.

    The same source and arguments give the same bytes, whatever the number of processes. A
    conversion that was cut short goes on where it stopped. Episodes that cannot be used are skipped
    and named in the manifest. Memory does not grow with the source, but for some bytes per episode.

    Args:
        source: Folder of the data set.
        root: Folder for the shards and their manifest.
        split_by: ``episode`` draws the test episodes at random; ``paper`` tests on every 100th in
            the order of their files; ``file`` keeps the splits of the source. The validation
            episodes are drawn from the others.
        val_share: Share of the episodes to choose checkpoints on.
        test_share: Share of the episodes to test on; used by ``episode`` only.
        seed: Where the splits come from.
        image_size: Height and width to resize frames to; they stay as large as they are if not
            given.
        image_format: ``jpg`` writes a JPEG file per frame, and those that come as JPEG files of
            the right size stay as they are; ``png`` is lossless.
        episodes_per_shard: Episodes in a shard, at most.
        processes: Shards written at the same time; as many as there are cores if not given.
        max_skip_share: The largest share of episodes that may be skipped.
    """

    source_name: ClassVar[str]
    """What the manifest calls the source."""

    def __init__(
        self,
        source: Path,
        root: Path,
        split_by: SplitRule = "episode",
        val_share: float = 0.01,
        test_share: float = 0.01,
        seed: int = 0,
        image_size: tuple[int, int] | None = None,
        image_format: ImageFormat = "jpg",
        episodes_per_shard: int = 50,
        processes: int | None = None,
        max_skip_share: float = 0.05,
    ) -> None:
        if episodes_per_shard < 1 or min(image_size or (1,)) < 1:
            raise ValueError("episodes_per_shard and image_size must be at least 1")
        self.source = source
        self.root = root
        self.image_format, self.image_size = image_format, image_size
        self.settings: dict[str, Any] = {
            "split_by": split_by,
            "val_share": val_share,
            "test_share": test_share,
            "seed": seed,
            "image_size": image_size and list(image_size),
            "image_format": image_format,
            "episodes_per_shard": episodes_per_shard,
        }
        self.processes = processes or os.cpu_count() or 1
        self.max_skip_share = max_skip_share

    @abstractmethod
    def open(self) -> tuple[EpisodeReader, dict[str, Any]]:
        """The episodes of the source, and what the manifest notes about it.

        Raises:
            FileNotFoundError: The folder holds no such data set.
        """

    def record(self) -> Manifest:
        """Convert what is missing, write the manifest and return it.

        Raises:
            ValueError: No episode can be used, too many cannot, or the folder holds a conversion of
                another source or with other settings.
        """
        reader, notes = self.open()
        settings = notes | self.settings
        claim(self.root, {"source": self.source_name} | settings)
        if (self.root / "manifest.json").exists():
            return Manifest.load(self.root)
        make = partial(sample, image_format=self.image_format, image_size=self.image_size)
        make = partial(make, shapes=first_shapes(reader, make, self.source))
        shards = self._shards(reader)
        self._convert(reader, make, shards)
        skipped = self._skipped(reader, shards)
        versions = {"pillow": version("pillow")}
        manifest = Manifest.build(self.root, self.source_name, settings, versions, skipped=skipped)
        manifest.save(self.root)
        for path in shards:
            skips_file(path).unlink()
        return manifest

    def _shards(self, reader: EpisodeReader) -> dict[Path, Indices]:
        names = ("split_by", "val_share", "test_share", "seed")
        named = [reader.split(i) for i in range(len(reader))]
        splits = assign_splits(named, *(self.settings[name] for name in names))
        size, shards = self.settings["episodes_per_shard"], dict[Path, Indices]()
        for split, name in enumerate(SPLITS):
            indices = np.flatnonzero(splits == split)
            for number, first in enumerate(range(0, len(indices), size)):
                shards[self.root / f"{name}-{number:06d}.tar"] = indices[first : first + size]
        return shards

    def _convert(self, reader: EpisodeReader, make: Make, shards: Mapping[Path, Indices]) -> None:
        jobs = [
            (path, reader, indices, make)
            for path, indices in shards.items()
            if not skips_file(path).exists()
        ]
        with progress_bar() as progress:
            task = progress.add_task(f"converting {self.source_name}", total=len(reader))
            progress.advance(task, len(reader) - sum(len(job[2]) for job in jobs))
            for count in in_processes(write_episodes, jobs, self.processes):
                progress.advance(task, count)

    def _skipped(self, reader: EpisodeReader, shards: Mapping[Path, Indices]) -> dict[str, Any]:
        """What the manifest says about skipped episodes, which is also printed in a sentence."""
        reasons = list(reader.problems)
        for path in sorted(shards):
            reasons += json.loads(skips_file(path).read_text())
        if not reasons:
            return {}
        total = len(reader) + len(reader.problems)
        first = "; ".join(reasons[:5])
        sentence = f"{self.source}: {len(reasons)} of {total} episodes had to be skipped: {first}"
        if len(reasons) > self.max_skip_share * total:
            raise ValueError(f"{sentence}; max_skip_share is {self.max_skip_share:g}")
        Console().print(f"{sentence} ({self.root / 'manifest.json'} names them)", highlight=False)
        return {"episodes": len(reasons), "reasons": reasons[:NAMED]}


def write_episodes(path: Path, reader: EpisodeReader, indices: Indices, make: Make) -> int:
    """Write the episodes with these numbers into one shard, and return how many they are.

    Bad ones are left out; why is in the shard's ``skips_file``, which is written last. A shard
    without good ones has no tar.
    """
    skipped: list[str] = []
    split = path.name.split("-")[0]

    def samples() -> Iterator[Sample]:
        for index in map(int, indices):
            try:
                yield f"{split}-{index:06d}", make(reader.read(index))[0]
            except BadEpisode as error:
                skipped.append(f"{reader.where(index)}: {error}")

    write_shard(path, samples())
    if len(skipped) == len(indices):
        path.unlink()
    write_json(skips_file(path), skipped)
    return len(indices)


def skips_file(path: Path) -> Path:
    """Beside a finished shard, until there is a manifest: why which episodes were left out."""
    return path.with_suffix(".skips.json")


def sample(
    episode: Episode,
    image_format: ImageFormat,
    image_size: tuple[int, int] | None,
    shapes: Shapes | None = None,
) -> tuple[dict[str, Any], Shapes]:
    """The members of an episode's sample, and the shape of one time step of each array.

    ``shapes`` are those of the first good episode, which all others must have.

    Raises:
        BadEpisode: Frames, actions and states do not fit together, or not to the other episodes.
    """
    frames, frame_shape = frame_members(episode.frames, image_format, image_size)
    members: dict[str, Any] = {"actions.npy": episode.actions, "json": dict(episode.info)}
    found = {"frames": frame_shape, "actions": episode.actions.shape[1:]}
    if episode.states is not None:
        members["states.npy"] = episode.states
        found["states"] = episode.states.shape[1:]
    for name in ("actions", "states"):
        array = members.get(f"{name}.npy")
        if array is not None and len(array) != len(episode.frames):
            raise BadEpisode(f"it has {len(episode.frames)} frames and {len(array)} {name}")
        if array is not None and not np.isfinite(array).all():
            raise BadEpisode(f"its {name} hold NaN or infinite values")
    if shapes is not None and found != shapes:
        raise BadEpisode(f"its steps have shapes {found}, those of others {shapes}")
    return members | frames, found


def first_shapes(reader: EpisodeReader, make: Make, source: Path) -> Shapes:
    """The shapes of the first good episode.

    Raises:
        ValueError: There is none among the first ones.
    """
    reasons = list(reader.problems)
    for index in range(min(len(reader), TRIES)):
        try:
            return make(reader.read(index))[1]
        except BadEpisode as error:
            reasons.append(f"{reader.where(index)}: {error}")
    first = reasons[-1] if reasons else "it holds none"
    raise ValueError(f"{source}: no episode can be used: {first}")
