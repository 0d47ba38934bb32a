"""Simulators, and recordings of them: seeded episodes as shards with a manifest."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rlvr_world.data.manifest import SPLITS
from rlvr_world.data.samples import Sample, write_shard
from rlvr_world.files import claim
from rlvr_world.jobs import in_processes, progress_bar
from rlvr_world.video.data.manifest import Manifest

Floats = NDArray[np.float32]
EPISODES_PER_SHARD = 25
NOTED = ("seed", "length", "action_repeat", "view", "image_size")
"""Settings that each sample of a recording repeats."""


class Simulator(ABC):
    """A simulator with a seeded random policy, whose episodes can be played again.

    A move is what an action asks for wherever the agent is, so that the moves of one clip make
    sense in another. The settings are those of the recording.
    """

    packages: ClassVar[tuple[str, ...]]
    """The packages whose versions decide what it does."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings

    @staticmethod
    @abstractmethod
    def share_moving(states: list[Floats]) -> float | None:
        """Of the states [T, S] of each episode, the share of clips in which something moves.

        None if the episodes are too short to tell.
        """

    @abstractmethod
    def begin(self, split: str, index: int) -> dict[str, Any]:
        """Go to the start of an episode; what it notes about the episode, as plain data."""

    @abstractmethod
    def policy(self) -> Floats:
        """The action [A] of the random policy in the present state."""

    @abstractmethod
    def step(self, action: Floats) -> None:
        """Go on to the next frame."""

    @property
    @abstractmethod
    def state(self) -> NDArray[Any]:
        """The present state [S]."""

    @abstractmethod
    def frame(self) -> NDArray[np.uint8]:
        """The present picture [H, W, 3]."""

    @abstractmethod
    def moves(self, actions: Floats, states: Floats) -> Floats:
        """The moves [T, A] of actions [T, A] that were taken in states [T, S]."""

    @abstractmethod
    def action(self, move: Floats) -> Floats:
        """The action [A] that makes a move in the present state."""

    @abstractmethod
    def unusual(self, moves: Floats, rng: np.random.Generator) -> Floats:
        """Moves [T, A] unlike any that the policy makes, instead of a clip's own."""

    def same_task(self, first: int, second: int) -> bool:
        """Whether the moves of one test episode make sense in another."""
        return True

    def film(self, length: int, act: Callable[[int], Floats] | None = None) -> dict[str, Any]:
        """The next T = ``length`` frames as the files of a sample, by extension.

        They are uint8 [T, H, W, 3]; states are float32 [T, S], actions float32 [T, A], of which row
        t is done between frame t and frame t + 1. ``act`` gives the action at each time; the policy
        does without it.
        """
        frames, actions, states = [], [], []
        for time in range(length):
            action = act(time) if act else self.policy()
            frames.append(self.frame())
            states.append(self.state)
            actions.append(action)
            self.step(action)
        return {
            "frames.png": np.stack(frames),
            "actions.npy": np.stack(actions),
            "states.npy": np.stack(states).astype(np.float32),
        }


def episode_rng(seed: int, split: str, index: int) -> np.random.Generator:
    """The source of all randomness of the episode with the given index of a split."""
    return np.random.default_rng(np.random.SeedSequence([seed, SPLITS.index(split), index]))


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
        for name, value in episodes.items():
            if value < 0:
                raise ValueError(f"episodes.{name} must not be negative, got {value}")
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
        write_shard(path, (self.sample(split, index) for index in indices))
        return len(indices)

    def _shards(self) -> Iterator[tuple[Path, str, range]]:
        for split, count in self.settings["episodes"].items():
            for number, first in enumerate(range(0, count, EPISODES_PER_SHARD)):
                indices = range(first, min(first + EPISODES_PER_SHARD, count))
                yield self.root / f"{split}-{number:06d}.tar", split, indices
