"""Recordings of Meta-World: scripted policies with noise of several strengths."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlvr_world.data.recorder import EpisodeRecorder, Episodes, episode_rng
from rlvr_world.data.samples import Sample
from rlvr_world.video.scenes.metaworld import object_moves
from rlvr_world.video.sources.metaworld_scene import MetaWorldScene, open_scene

TASKS = ("drawer-open", "drawer-close", "door-open", "button-press", "push", "faucet-open")


def share_moving(states: list[NDArray[np.float32]]) -> float:
    """The share of steps from one frame to the next in which the object moves by over 1 mm.

    Args:
        states: The states [T, 7] of each episode.
    """
    return float(np.concatenate([object_moves(episode) for episode in states]).mean())


class MetaWorldRecorder(EpisodeRecorder):
    """Records episodes of Meta-World, in which scripted policies act with more or less noise.

    Tasks take turns, and so do the strengths of the noise within each task. The same arguments give
    the same bytes, whatever the number of processes. A recording that was cut short goes on where
    it stopped: finished shards are kept.

    Args:
        root: Folder for the shards and their manifest.
        episodes: Episodes per split, of all tasks together.
        tasks: Names of tasks without version.
        noise: Standard deviations of the noise on actions, which are in [-1, 1].
        length: Frames per episode.
        action_repeat: Control steps (of 0.0125 s) per frame; the action is held during them.
        image_size: Height and width of the frames in pixels.
        seed: Where all randomness comes from.
        processes: Shards recorded at the same time; as many as there are cores if not given.
    """

    source = "metaworld"
    packages = ("metaworld", "mujoco", "trimesh", "fast-simplification")
    share_moving = staticmethod(share_moving)

    def __init__(
        self,
        root: str = "data/metaworld",
        episodes: Episodes = Episodes(1920, 60, 60),  # noqa: B008
        tasks: Sequence[str] = TASKS,
        noise: Sequence[float] = (0.0, 0.2, 0.4, 0.8),
        length: int = 25,
        action_repeat: int = 4,
        image_size: int = 64,
        seed: int = 0,
        processes: int | None = None,
    ) -> None:
        counts = {
            "number of tasks": len(tasks),
            "number of noise strengths": len(noise),
            "length": length,
            "action_repeat": action_repeat,
            "image_size": image_size,
        }
        for name, value in counts.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        settings = {
            "tasks": list(tasks),
            "noise": list(noise),
            "length": length,
            "action_repeat": action_repeat,
            "image_size": image_size,
            "seed": seed,
        }
        super().__init__(root, asdict(episodes), settings, processes)

    def sample(self, split: str, index: int) -> Sample:
        """Record the episode with the given index of a split."""
        scene, rng = begin(split, index, self.settings)
        tasks, levels = self.settings["tasks"], self.settings["noise"]
        noise = levels[index // len(tasks) % len(levels)]
        kept = {k: self.settings[k] for k in ("seed", "length", "action_repeat", "image_size")}
        episode = record_episode(scene, rng, kept["length"], kept["action_repeat"], noise)
        return f"{split}-{index:06d}", {
            "frames.png": episode["frames"],
            "actions.npy": episode["actions"],
            "states.npy": episode["states"],
            "json": kept | {"episode": index, "task": tasks[index % len(tasks)], "noise": noise},
        }


def begin(
    split: str, index: int, settings: dict[str, Any]
) -> tuple[MetaWorldScene, np.random.Generator]:
    """The scene at the start of an episode of a recording, and the source of its noise."""
    rng = episode_rng(settings["seed"], split, index)
    tasks = settings["tasks"]
    scene = open_scene(tasks[index % len(tasks)], settings["image_size"])
    scene.reset(int(rng.integers(2**31)))
    return scene, rng


def record_episode(
    scene: MetaWorldScene, rng: np.random.Generator, length: int, action_repeat: int, noise: float
) -> dict[str, NDArray[Any]]:
    """One episode: ``frames`` uint8 [T, H, W, 3], ``actions`` [T, 4] and ``states`` [T, 7].

    Row t of the actions, in [-1, 1], is what the gripper does between frame t and frame t + 1:
    its velocity along x, y and z, and how it closes.
    """
    frames, actions, states = [], [], []
    for _ in range(length):
        action = scene.scripted_action() + rng.normal(0, noise, size=4)
        action = np.clip(action, -1, 1).astype(np.float32)
        frames.append(scene.frame())
        states.append(scene.state)
        actions.append(action)
        scene.step(action, action_repeat)
    return {"frames": np.stack(frames), "actions": np.stack(actions), "states": np.stack(states)}
