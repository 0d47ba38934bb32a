"""Goals in PushT, and trials to reach them: the simulator goes on from a recorded test episode."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlvr_world.applications.planning.goal_cost import metric_cost
from rlvr_world.reward import Reward
from rlvr_world.video.data.clip_reader import clip_starts
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.video import episodes
from rlvr_world.video.scenes.pusht import block_centre
from rlvr_world.video.sources.pusht import PushTSimulator

NEAR, TURNED = 20.0, np.pi / 9
"""A goal is reached within so many simulator pixels, of agent and block together, and so many rad
of the block, after DINO-WM, whose numbers are in the paper's Table 12."""

State = NDArray[np.float64]


class Trial:
    """One attempt at a goal: the frame and the state that a test episode has some steps later.

    Args:
        settings: Those of the recording.
        episode: The recorded episode.
        index: Its number in the test split.
        start: The first of the given frames.
        window: How many frames are given.
        horizon: How many steps later the goal is.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        episode: dict[str, Any],
        index: int,
        start: int,
        window: int,
        horizon: int,
    ) -> None:
        now = start + window - 1
        self.simulator, self.index, self.window = PushTSimulator(settings), index, window
        self.key = f"{episode['key']}:{start}"
        self.goal_frame = torch.from_numpy(episode["frames"][now + horizon].copy())
        self.goal_state: State = episode["states"][now + horizon].astype(np.float64)
        self.actions: list[NDArray[np.float32]] = list(episode["actions"][:now])
        self.play()
        if not np.array_equal(self.frames.numpy(), episode["frames"][start : now + 1]):
            raise ValueError(
                f"{self.key} looks different when it is played again; record the data again on "
                "this machine, with the package versions that are installed"
            )

    @property
    def reached(self) -> bool:
        """Whether the simulator is at the goal now."""
        gap = self.goal_state - self.state
        turn = abs((gap[4] + np.pi) % (2 * np.pi) - np.pi)
        return bool(np.linalg.norm(gap[:4]) < NEAR and turn < TURNED)

    @property
    def distances(self) -> dict[str, float]:
        """How far block and agent are from their places at the goal, in simulator pixels."""
        places = [(block_centre(at[2:]), at[:2]) for at in (self.state, self.goal_state)]
        block, agent = (float(np.linalg.norm(a - b)) for a, b in zip(*places, strict=True))
        return {"block": block, "agent": agent}

    def act(self, actions: Tensor) -> None:
        """Do actions [H, A]."""
        self.actions += list(actions.cpu().numpy().astype(np.float32))
        self.play()

    def play(self) -> None:
        """Play all actions from the episode's start on; the last frames and the state stay."""
        self.simulator.begin("test", self.index)
        frames = []
        for time in range(len(self.actions) + 1):
            if time > len(self.actions) - self.window:
                frames.append(self.simulator.frame())
            if time < len(self.actions):
                self.simulator.step(self.actions[time])
        self.frames = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous()
        self.state = self.simulator.state.copy()

    def true_costs(self, actions: Tensor, distance: Reward) -> Tensor:
        """The costs [S] of candidates [S, H, A] in the simulator, each from the present state."""
        self.play()
        bodies = (self.simulator.env.agent, self.simulator.env.block)
        fields = ("position", "velocity", "angle", "angular_velocity")
        present = [[getattr(body, name) for name in fields] for body in bodies]
        done = self.simulator.done
        frames = []
        for candidate in actions.cpu().numpy():
            for body, values in zip(bodies, present, strict=True):
                for name, value in zip(fields, values, strict=True):
                    setattr(body, name, value)
                self.simulator.env.space.reindex_shapes_for_body(body)
            self.simulator.done = done
            for action in candidate:
                self.simulator.step(action)
            frames.append(self.simulator.frame())
        shown = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)[:, None].float() / 255
        goal = (self.goal_frame.float() / 255).expand(len(shown), 1, -1, -1, -1)
        device = next(distance.buffers(), actions).device
        return metric_cost(distance, shown.to(device), goal.to(device)).to(actions.device)


def trials(root: Path, count: int, window: int, horizon: int, seed: int) -> list[Trial]:
    """Attempts at goals that are reachable, and not reached by doing nothing.

    Args:
        root: A recording of PushT with its test split.
        count: How many.
        window: Given frames.
        horizon: How many steps after the last given frame the recording is at the goal.
        seed: Which ones are taken.

    Raises:
        ValueError: The recording is not of PushT, or has too few.
    """
    manifest = Manifest.load(root)
    if manifest.source != "pusht":
        raise ValueError(f"data: {root} was made from {manifest.source}; plans are tried in PushT")
    found = list(candidates(root, manifest.settings, window, horizon))
    if len(found) < count:
        raise ValueError(
            f"goals: {root} has {len(found)} that are not reached at their start, not {count}; "
            "lower goals, or raise horizon"
        )
    order = np.random.default_rng(seed).permutation(len(found))[:count]
    return [Trial(*found[int(each)], window, horizon) for each in sorted(order)]


def candidates(
    root: Path, settings: dict[str, Any], window: int, horizon: int
) -> Iterator[tuple[dict[str, Any], dict[str, Any], int, int]]:
    """Clips whose end is another place than their start: what ``Trial`` takes first."""
    for index, episode in enumerate(episodes(root, "test")):
        states = episode["states"].astype(np.float64)
        for start in clip_starts(len(states), window + horizon, clips=4):
            now = start + window - 1
            if np.linalg.norm(states[now, 2:4] - states[now + horizon, 2:4]) >= NEAR:
                yield settings, episode, index, start
