"""Recordings of PushT: the simulator of gym-pusht, its own drawing, and a policy that pushes."""

import importlib
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from rlvr_world.data.manifest import SPLITS, Manifest, write_json
from rlvr_world.data.samples import Sample, write_shard
from rlvr_world.recording.pusher import Pusher
from rlvr_world.states.pusht import View, block_moves

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


class PushTRecorder:
    """Records episodes of the PushT simulator, in which a random policy pushes the block.

    The same arguments give the same bytes, whatever the number of processes. A recording that was
    cut short goes on where it stopped: finished shards are kept.

    Args:
        root: Folder for the shards and their manifest.
        episodes: Episodes per split.
        length: Frames per episode.
        action_repeat: Simulator steps (of 0.1 s) per frame; the action is held during them.
        view: The part of the arena that the frames show, and their size.
        seed: Where all randomness comes from.
        processes: Shards recorded at the same time; as many as there are cores if not given.
    """

    def __init__(
        self,
        root: str = "data/pusht",
        episodes: Episodes = Episodes(),  # noqa: B008
        length: int = 40,
        action_repeat: int = 2,
        view: View = View(),  # noqa: B008
        seed: int = 0,
        processes: int | None = None,
    ) -> None:
        for name, value in {"length": length, "action_repeat": action_repeat}.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.root = Path(root)
        self.processes = processes or os.cpu_count() or 1
        self.settings = {
            "episodes": asdict(episodes),
            "length": length,
            "action_repeat": action_repeat,
            "view": asdict(view),
            "seed": seed,
        }

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
            task = progress.add_task("recording PushT", total=total)
            progress.advance(task, total - sum(len(indices) for _, _, indices in missing))
            for count in self._record_all(missing):
                progress.advance(task, count)
        versions = {name: version(name) for name in ("gym-pusht", "pymunk", "pygame")}
        manifest = Manifest.build(self.root, "pusht", self.settings, versions, share_moving)
        manifest.save(self.root)
        return manifest

    def _claim_root(self) -> None:
        """Note the settings in the folder, or compare them with what is noted there."""
        path = self.root / "settings.json"
        settings = {"source": "pusht"} | self.settings
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
        for split in SPLITS:
            count = self.settings["episodes"][split]
            for number, first in enumerate(range(0, count, EPISODES_PER_SHARD)):
                indices = range(first, min(first + EPISODES_PER_SHARD, count))
                yield f"{split}-{number:06d}.tar", split, indices

    def _record_all(self, shards: list[tuple[str, str, range]]) -> Iterator[int]:
        """Record shards, and yield the number of episodes of each finished one."""
        jobs = [(self.root / name, split, indices) for name, split, indices in shards]
        if self.processes == 1 or len(jobs) < 2:
            yield from (_record_shard(*job, self.settings) for job in jobs)
            return
        with ProcessPoolExecutor(self.processes, get_context("spawn")) as pool:
            futures = [pool.submit(_record_shard, *job, self.settings) for job in jobs]
            try:
                yield from (future.result() for future in as_completed(futures))
            finally:
                pool.shutdown(cancel_futures=True)


def progress_bar() -> Progress:
    """A progress bar that shows the share done and the time left."""
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    return Progress(*columns, TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn())


def share_moving(states: list[NDArray[np.float32]]) -> float:
    """The share of clips at whose end the block moves.

    A clip is any 3 consecutive frames; the block moves at its end if it moves by over 1 simulator
    pixel or 0.01 rad between the last two.

    Args:
        states: The states [T, 5] of each episode.
    """
    moves = [block_moves(episode)[1:] for episode in states]
    return float(np.concatenate(moves).mean())


def import_simulator() -> Any:
    """The class of the simulator, on a machine without a screen and without GL libraries.

    gym-pusht imports OpenCV, which needs libGL on Linux, only to resize pictures. That is not used
    here, so an empty module stands in for an OpenCV that cannot be imported.
    """
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        importlib.import_module("cv2")
    except ImportError:
        sys.modules["cv2"] = ModuleType("cv2")
    try:
        return importlib.import_module("gym_pusht.envs.pusht").PushTEnv
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"PushT needs the package {error.name}: pip install 'rlvr-world[pusht]'"
        ) from error


def photograph(env: Any, view: View) -> NDArray[np.uint8]:
    """The simulator's own drawing within the view, [image_size, image_size, 3].

    A pixel is the mean of the ``view.scale`` by ``view.scale`` pixels that it stands for.
    """
    import pygame

    window = env._draw().subsurface((view.origin, view.origin, view.side, view.side))
    picture = Image.frombytes("RGB", window.get_size(), pygame.image.tobytes(window, "RGB"))
    return np.asarray(picture.reduce(view.scale))


def record_episode(
    env: Any, rng: np.random.Generator, length: int, action_repeat: int, view: View
) -> dict[str, NDArray[Any]]:
    """One episode: ``frames`` uint8 [T, H, W, 3], ``actions`` [T, 2] and ``states`` [T, 5].

    Row t of the actions is the target position, in simulator pixels, that the agent is drawn to
    between frame t and frame t + 1.
    """
    pusher = Pusher(rng, view)
    state, _ = env.reset(options={"reset_to_state": pusher.start()})
    frames, actions, states = [], [], []
    for _ in range(length):
        action = pusher.act(state).astype(np.float32)
        frames.append(photograph(env, view))
        states.append(state)
        actions.append(action)
        for _ in range(action_repeat):
            state, *_ = env.step(action.astype(np.float64))
    return {
        "frames": np.stack(frames),
        "actions": np.stack(actions),
        "states": np.stack(states).astype(np.float32),
    }


def _record_shard(path: Path, split: str, indices: range, settings: dict[str, Any]) -> int:
    """Record the episodes of one shard and return how many they are."""
    env = import_simulator()(obs_type="state")
    write_shard(path, (_sample(env, split, index, settings) for index in indices))
    return len(indices)


def _sample(env: Any, split: str, index: int, settings: dict[str, Any]) -> Sample:
    """Record the episode with the given index of a split."""
    seeds = np.random.SeedSequence([settings["seed"], SPLITS.index(split), index])
    length, action_repeat, view = (settings[k] for k in ("length", "action_repeat", "view"))
    episode = record_episode(env, np.random.default_rng(seeds), length, action_repeat, View(**view))
    info = {k: settings[k] for k in ("seed", "length", "action_repeat", "view")}
    return f"{split}-{index:06d}", {
        "frames.png": episode["frames"],
        "actions.npy": episode["actions"],
        "states.npy": episode["states"],
        "json": info | {"episode": index},
    }
