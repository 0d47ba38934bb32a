"""Policies that see frames, and such as are cloned from a recording."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rlvr_world.applications.policies.picture_network import PictureNetwork, trained
from rlvr_world.rl.budget import check_positive
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.video import episodes


class Policy(ABC):
    """What acts upon frames; a policy of your own gets an adapter with ``__call__``."""

    def prepare(self, data: Path, tasks: Sequence[str]) -> None:
        """Get ready for tasks of a recording; there is nothing to do by default."""
        return

    @abstractmethod
    def __call__(self, frames: Tensor, task: str) -> Tensor:
        """Choose actions.

        Args:
            frames: All frames so far, uint8 [B, T, 3, H, W].
            task: What the recording calls the task.

        Returns:
            Actions [B, A] in the units of the recording.
        """


class ClonedPolicy(Policy):
    """A small network that imitates the recorded actions of a task by the last frame alone.

    Args:
        steps: Batches of training; fewer make a weaker policy.
        noise: Standard deviation of the noise on actions, as a share of their range.
        demonstrations: Episodes of the task that it is trained on.
        seed: Of the training and of the noise.
    """

    def __init__(
        self, steps: int = 1000, noise: float = 0.0, demonstrations: int = 80, seed: int = 0
    ) -> None:
        check_positive(steps=steps, demonstrations=demonstrations)
        self.steps, self.noise = steps, noise
        self.demonstrations, self.seed = demonstrations, seed
        self.generator = torch.Generator().manual_seed(seed)
        self.networks: dict[str, PictureNetwork] = {}

    def prepare(self, data: Path, tasks: Sequence[str]) -> None:
        ranges = Manifest.load(data).actions
        self.low, self.high = torch.tensor(ranges["min"]), torch.tensor(ranges["max"])
        for task in tasks:
            self.networks[task] = clone(data, task, self.steps, self.demonstrations, self.seed)

    @torch.no_grad()
    def __call__(self, frames: Tensor, task: str) -> Tensor:
        actions = self.networks[task](frames[:, -1])
        noise = torch.randn(actions.shape, generator=self.generator)
        actions = actions + self.noise * (self.high - self.low) * noise
        return actions.clamp(self.low, self.high)


@cache
def clone(root: Path, task: str, steps: int, count: int, seed: int) -> PictureNetwork:
    """A network that imitates the actions of so many training episodes of a task."""
    frames, actions = demonstrations(root, task, count)
    return trained(frames, actions, steps, seed, binary=False)


@cache
def demonstrations(root: Path, task: str, count: int) -> tuple[Tensor, Tensor]:
    """Frames uint8 [N, 3, H, W] of the first training episodes of a task, and actions [N, A]."""
    found: list[dict[str, np.ndarray]] = []
    for episode in episodes(root, "train"):
        if episode["json"].get("task") == task:
            found.append(episode)
        if len(found) == count:
            break
    if not found:
        raise ValueError(f"tasks: {root} has no training episodes of {task}")
    pair = (np.concatenate([each[name] for each in found]) for name in ("frames", "actions"))
    frames, actions = (torch.from_numpy(array) for array in pair)
    return frames, actions
