"""Recordings of Meta-World: scripted policies with noise of several strengths."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlvr_world.video.sources.metaworld_scene import object_moves, open_scene
from rlvr_world.video.sources.recorder import (
    EpisodeRecorder,
    Episodes,
    Floats,
    Simulator,
    episode_rng,
)

TASKS = ("drawer-open", "drawer-close", "door-open", "button-press", "push", "faucet-open")


class MetaWorldSimulator(Simulator):
    """Meta-World with scripted policies, to whose actions noise is added.

    Tasks take turns, and so do the strengths of the noise within each task. An action [4], in
    [-1, 1], is the velocity of the gripper along x, y and z, and how it closes; moves are the same.
    Unusual ones are one random direction, more level than steep, at full speed, with the gripper
    doing the contrary of what it mostly did.
    """

    packages = ("metaworld", "mujoco", "trimesh", "fast-simplification")

    @staticmethod
    def share_moving(states: list[Floats]) -> float | None:
        """The share of steps from frame to frame in which the object moves by over 1 mm."""
        moves = np.concatenate([object_moves(episode) for episode in states])
        return float(moves.mean()) if len(moves) else None

    def begin(self, split: str, index: int) -> dict[str, Any]:
        tasks, levels = self.settings["tasks"], self.settings["noise"]
        task = tasks[index % len(tasks)]
        self.rng = episode_rng(self.settings["seed"], split, index)
        self.noise = levels[index // len(tasks) % len(levels)]
        self.scene = open_scene(task, self.settings["image_size"])
        self.scene.reset(int(self.rng.integers(2**31)))
        return {"task": task, "noise": self.noise}

    def policy(self) -> Floats:
        action = self.scene.scripted_action() + self.rng.normal(0, self.noise, size=4)
        return np.clip(action, -1, 1).astype(np.float32)

    def step(self, action: Floats) -> None:
        self.scene.step(action, self.settings["action_repeat"])

    @property
    def state(self) -> Floats:
        return self.scene.state

    @property
    def success(self) -> bool:
        """Whether Meta-World counts the task as done in the present state."""
        return self.scene.success

    def frame(self) -> NDArray[np.uint8]:
        return self.scene.frame()

    def moves(self, actions: Floats, states: Floats) -> Floats:
        return actions

    def action(self, move: Floats) -> Floats:
        return move

    def unusual(self, moves: Floats, rng: np.random.Generator) -> Floats:
        direction = rng.normal(size=3) * (1.0, 1.0, 0.25)
        closing = -1.0 if moves[:, 3].mean() > 0 else 1.0
        move = np.append(direction / np.abs(direction).max(), closing)
        return np.tile(move.astype(np.float32), (len(moves), 1))

    def same_task(self, first: int, second: int) -> bool:
        tasks = len(self.settings["tasks"])
        return first % tasks == second % tasks


class MetaWorldRecorder(EpisodeRecorder):
    """Records episodes of Meta-World, in which scripted policies act with more or less noise.

    The same arguments give the same bytes, whatever the number of processes. A recording that was
    cut short goes on where it stopped: finished shards are kept.

    Args:
        episodes: Episodes per split, of all tasks together.
        tasks: Names of tasks without version.
        noise: Standard deviations of the noise on actions, which are in [-1, 1].
        length: Frames per episode.
        action_repeat: Control steps (of 0.0125 s) per frame; the action is held during them.
        image_size: Height and width of the frames in pixels.
        seed: Where all randomness comes from.
    """

    source = "metaworld"

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
        settings = {
            "tasks": list(tasks),
            "noise": list(noise),
            "length": length,
            "action_repeat": action_repeat,
            "image_size": image_size,
            "seed": seed,
        }
        super().__init__(MetaWorldSimulator(settings), root, asdict(episodes), settings, processes)
