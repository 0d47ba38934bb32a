"""What recorders of seeded episodes share: folders, shards, processes and the manifest."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from rlvr_world.data.manifest import SPLITS, Manifest, ShareMoving, write_json
from rlvr_world.data.samples import Sample, write_shard

EPISODES_PER_SHARD = 25


@dataclass
class Episodes:
    """How many episodes each split gets.

    Args:
        train: Episodes to train on.
        val: Episodes to choose checkpoints on.
        test: Episodes for the tables.
    """

    train: int = 1000
    val: int = 100
    test: int = 100


class EpisodeRecorder(ABC):
    """Records episodes into shards, several at the same time.

    Args:
        root: Folder for the shards and their manifest.
        episodes: Episodes by split.
        settings: What else decides the bytes of a recording, as plain data.
        processes: Shards recorded at the same time; as many as there are cores if not given.
    """

    source: ClassVar[str]
    """What the manifest says the data comes from."""

    packages: tuple[str, ...]
    """The packages whose versions the manifest holds."""

    share_moving: ShareMoving
    """Of a split's states, the share of clips in which something moves."""

    def __init__(
        self,
        root: str,
        episodes: Mapping[str, int],
        settings: Mapping[str, Any],
        processes: int | None,
    ) -> None:
        self.root = Path(root)
        self.processes = processes or os.cpu_count() or 1
        self.settings = {"episodes": dict(episodes), **settings}

    @abstractmethod
    def sample(self, split: str, index: int) -> Sample:
        """Record the episode with the given index of a split, in any process and any order."""

    def record(self) -> Manifest:
        """Record what is missing, write the manifest and return it.

        Raises:
            ValueError: If the folder holds a recording with other settings.
        """
        self._claim_root()
        shards = list(self._shards())
        missing = [shard for shard in shards if not (self.root / shard[0]).exists()]
        if not missing and (self.root / "manifest.json").exists():
            return Manifest.load(self.root)
        total = sum(len(indices) for _, _, indices in shards)
        with progress_bar() as progress:
            task = progress.add_task(f"recording {self.source}", total=total)
            progress.advance(task, total - sum(len(indices) for _, _, indices in missing))
            for count in self._record_all(missing):
                progress.advance(task, count)
        versions = {name: version(name) for name in self.packages}
        splits = tuple(self.settings["episodes"])
        manifest = Manifest.build(
            self.root, self.source, self.settings, versions, self.share_moving, splits
        )
        manifest.save(self.root)
        return manifest

    def record_shard(self, path: Path, split: str, indices: range) -> int:
        """Record the episodes of one shard and return how many they are."""
        write_shard(path, (self.sample(split, index) for index in indices))
        return len(indices)

    def _claim_root(self) -> None:
        """Note the settings in the folder, or compare them with what is noted there."""
        path = self.root / "settings.json"
        settings = {"source": self.source} | self.settings
        if not path.exists():
            if any(self.root.glob("*.tar")):
                raise ValueError(
                    f"{self.root} holds shards without settings.json: use another root"
                )
            write_json(path, settings)
        there = json.loads(path.read_text())
        for key in settings | there:
            if settings.get(key) != there.get(key):
                raise ValueError(
                    f"{self.root} was recorded with {key} {there.get(key)}, not "
                    f"{settings.get(key)}: use another root, or delete the folder"
                )

    def _shards(self) -> Iterator[tuple[str, str, range]]:
        """The name, the split and the episode indices of every shard."""
        for split, count in self.settings["episodes"].items():
            for number, first in enumerate(range(0, count, EPISODES_PER_SHARD)):
                indices = range(first, min(first + EPISODES_PER_SHARD, count))
                yield f"{split}-{number:06d}.tar", split, indices

    def _record_all(self, shards: list[tuple[str, str, range]]) -> Iterator[int]:
        """Record shards, and yield the number of episodes of each finished one."""
        jobs = [(self.root / name, split, indices) for name, split, indices in shards]
        if self.processes == 1 or len(jobs) < 2:
            yield from (self.record_shard(*job) for job in jobs)
            return
        with ProcessPoolExecutor(self.processes, get_context("spawn")) as pool:
            futures = [pool.submit(self.record_shard, *job) for job in jobs]
            try:
                yield from (future.result() for future in as_completed(futures))
            finally:
                pool.shutdown(cancel_futures=True)


def episode_rng(seed: int, split: str, index: int) -> np.random.Generator:
    """The source of all randomness of the episode with the given index of a split."""
    return np.random.default_rng(np.random.SeedSequence([seed, SPLITS.index(split), index]))


def progress_bar() -> Progress:
    """A progress bar that shows the share done and the time left."""
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    return Progress(*columns, TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn())
