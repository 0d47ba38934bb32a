"""Episodes of a published data set on their way into shards."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from rich.console import Console

from rlvr_world.data.manifest import SPLITS
from rlvr_world.files import claim
from rlvr_world.jobs import in_processes, progress_bar
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.sources.episode_shards import (
    Indices,
    Store,
    first_shapes,
    skips_file,
    write_episodes,
)
from rlvr_world.video.sources.episode_splits import SplitRule, assign_splits
from rlvr_world.video.sources.episodes import EpisodeReader, ImageFormat

NAMED = 100  # skipped episodes that the manifest names


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
        self.shares = (split_by, val_share, test_share, seed)
        self.store = Store(image_format, image_size)
        self.episodes_per_shard = episodes_per_shard
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
        settings = notes | self._settings()
        claim(self.root, {"source": self.source_name} | settings)
        if (self.root / "manifest.json").exists():
            return Manifest.load(self.root)
        store = self.store._replace(shapes=first_shapes(reader, self.store, self.source))
        shards = self._shards(reader)
        self._convert(reader, store, shards)
        skipped = self._skipped(reader, shards)
        versions = {"pillow": version("pillow")}
        manifest = Manifest.build(self.root, self.source_name, settings, versions, skipped=skipped)
        manifest.save(self.root)
        for path in shards:
            skips_file(path).unlink()
        return manifest

    def _settings(self) -> dict[str, Any]:
        names = ("split_by", "val_share", "test_share", "seed")
        return dict(zip(names, self.shares, strict=True)) | {
            "image_size": self.store.image_size and list(self.store.image_size),
            "image_format": self.store.image_format,
            "episodes_per_shard": self.episodes_per_shard,
        }

    def _shards(self, reader: EpisodeReader) -> dict[Path, Indices]:
        """The file and the episodes of every shard."""
        splits = assign_splits([reader.split(i) for i in range(len(reader))], *self.shares)
        return {
            self.root / f"{name}-{number:06d}.tar": indices[first : first + self.episodes_per_shard]
            for split, name in enumerate(SPLITS)
            for indices in [np.flatnonzero(splits == split)]
            for number, first in enumerate(range(0, len(indices), self.episodes_per_shard))
        }

    def _convert(self, reader: EpisodeReader, store: Store, shards: Mapping[Path, Indices]) -> None:
        """Write the shards that are missing."""
        jobs = [
            (path, reader, indices, store)
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
