"""Recordings of simulators: seeded episodes as shards with a manifest."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from rlvr_world.data.samples import Sample, write_shard
from rlvr_world.files import claim
from rlvr_world.jobs import in_processes, progress_bar
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.sources.simulator import Simulator

EPISODES_PER_SHARD = 25
NOTED = ("seed", "length", "action_repeat", "view", "image_size")
"""Settings that each sample of a recording repeats."""


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


class EpisodeRecorder:
    """Records episodes into shards, several at the same time.

    The same arguments give the same bytes, whatever the number of processes. A recording that was
    cut short goes on where it stopped: finished shards are kept.

    Args:
        simulator: What is recorded.
        root: Folder for the shards and their manifest.
        episodes: Episodes by split.
        settings: What else decides the bytes of a recording, as plain data.
        processes: Shards recorded at the same time; as many as there are cores if not given.

    Raises:
        ValueError: A number among the settings is less than 1, or a list is empty.
    """

    source: ClassVar[str]
    """What the manifest says the data comes from."""

    def __init__(
        self,
        simulator: Simulator,
        root: str,
        episodes: Mapping[str, int],
        settings: Mapping[str, Any],
        processes: int | None,
    ) -> None:
        for name, value in settings.items():
            if isinstance(value, int) and name != "seed" and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
            if value == []:
                raise ValueError(f"{name} must not be empty")
        self.simulator = simulator
        self.root = Path(root)
        self.processes = processes or os.cpu_count() or 1
        self.settings = {"episodes": dict(episodes), **settings}

    def sample(self, split: str, index: int) -> Sample:
        """Record the episode with the given index of a split, in any process and any order."""
        info = {name: self.settings[name] for name in NOTED if name in self.settings}
        info |= {"episode": index} | self.simulator.begin(split, index)
        arrays = self.simulator.film(self.settings["length"])
        return f"{split}-{index:06d}", arrays | {"json": info}

    def record(self) -> Manifest:
        """Record what is missing, write the manifest and return it.

        Raises:
            ValueError: The folder holds a recording with other settings.
        """
        claim(self.root, {"source": self.source} | self.settings)
        shards = list(self._shards())
        missing = [shard for shard in shards if not shard[0].exists()]
        if not missing and (self.root / "manifest.json").exists():
            return Manifest.load(self.root)
        total = sum(len(indices) for _, _, indices in shards)
        with progress_bar() as progress:
            task = progress.add_task(f"recording {self.source}", total=total)
            progress.advance(task, total - sum(len(indices) for _, _, indices in missing))
            for count in in_processes(self.record_shard, missing, self.processes):
                progress.advance(task, count)
        manifest = Manifest.build(
            self.root,
            self.source,
            self.settings,
            {name: version(name) for name in self.simulator.packages},
            self.simulator.share_moving,
            tuple(self.settings["episodes"]),
        )
        manifest.save(self.root)
        return manifest

    def record_shard(self, path: Path, split: str, indices: range) -> int:
        """Record the episodes of one shard and return how many they are."""
        write_shard(path, (self.sample(split, index) for index in indices))
        return len(indices)

    def _shards(self) -> Iterator[tuple[Path, str, range]]:
        """The file, the split and the episode indices of every shard."""
        for split, count in self.settings["episodes"].items():
            for number, first in enumerate(range(0, count, EPISODES_PER_SHARD)):
                indices = range(first, min(first + EPISODES_PER_SHARD, count))
                yield self.root / f"{split}-{number:06d}.tar", split, indices
