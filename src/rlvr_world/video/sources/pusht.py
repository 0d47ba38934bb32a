"""Recordings of PushT: the simulator of gym-pusht, its own drawing, and a policy that pushes."""

import os
import sys
from dataclasses import asdict
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rlvr_world.extras import require
from rlvr_world.video.scenes.pusht import AGENT_RADIUS, ARENA, View, block_moves, rotate
from rlvr_world.video.sources.pusher import Pusher
from rlvr_world.video.sources.recorder import (
    EpisodeRecorder,
    Episodes,
    Floats,
    Simulator,
    episode_rng,
)


class PushTSimulator(Simulator):
    """PushT with a random policy that pushes the block.

    An action is the position that the agent is drawn to, in simulator pixels, a move how far that
    is from it. Unusual moves are those of the clip at twice their length, all turned by one random
    angle of at most 60 degrees.
    """

    packages = ("gym-pusht", "pymunk", "pygame")

    @staticmethod
    def share_moving(states: list[Floats]) -> float | None:
        """The share of clips at whose end the block moves.

        A clip is any 3 consecutive frames; the block moves at its end if it moves by over 1
        simulator pixel or 0.01 rad between the last two.
        """
        moves = np.concatenate([block_moves(episode)[1:] for episode in states])
        return float(moves.mean()) if len(moves) else None

    def begin(self, split: str, index: int) -> dict[str, Any]:
        self.env, self.view = environment(), View(**self.settings["view"])
        self.pusher = Pusher(episode_rng(self.settings["seed"], split, index), self.view)
        self.now, _ = self.env.reset(options={"reset_to_state": self.pusher.start()})
        self.slips = episode_rng(self.settings["seed"], split, index).spawn(1)[0]
        self.done = self.now[:2]
        return {}

    def policy(self) -> Floats:
        return self.pusher.act(self.now).astype(np.float32)

    def step(self, action: Floats) -> None:
        if self.slips.random() >= self.settings.get("sticky", 0):
            self.done = action.astype(np.float64)
        for _ in range(self.settings["action_repeat"]):
            self.now, *_ = self.env.step(self.done)

    @property
    def state(self) -> NDArray[np.float64]:
        return self.now

    def frame(self) -> NDArray[np.uint8]:
        """The simulator's own drawing within the view, [image_size, image_size, 3].

        A pixel is the mean of the ``view.scale`` by ``view.scale`` pixels that it stands for.
        """
        import pygame

        view = self.view
        window = self.env._draw().subsurface((view.origin, view.origin, view.side, view.side))
        picture = Image.frombytes("RGB", window.get_size(), pygame.image.tobytes(window, "RGB"))
        return np.asarray(picture.reduce(view.scale))

    def moves(self, actions: Floats, states: Floats) -> Floats:
        return actions - states[:, :2]

    def action(self, move: Floats) -> Floats:
        low = self.view.origin + AGENT_RADIUS
        return np.clip(self.now[:2] + move, low, ARENA - low).astype(np.float32)

    def unusual(self, moves: Floats, rng: np.random.Generator) -> Floats:
        return 2 * rotate(moves, rng.uniform(-np.pi / 3, np.pi / 3)).astype(np.float32)


class PushTRecorder(EpisodeRecorder):
    """Records episodes of the PushT simulator, in which a random policy pushes the block.

    The same arguments give the same bytes, whatever the number of processes. A recording that was
    cut short goes on where it stopped: finished shards are kept.

    Args:
        episodes: Episodes per split.
        length: Frames per episode.
        action_repeat: Simulator steps (of 0.1 s) per frame; the action is held during them.
        view: The window of the arena that the frames show, and their size.
        seed: Where all randomness comes from.
        sticky: Probability, from 0 to below 1, that an action gets lost and the one before goes on
            for another frame: a world in which the same action has two outcomes. What is recorded
            is the action that was asked for.

    Raises:
        ValueError: ``sticky`` is no such probability.
    """

    source = "pusht"

    def __init__(
        self,
        root: str = "data/pusht",
        episodes: Episodes = Episodes(),  # noqa: B008
        length: int = 40,
        action_repeat: int = 2,
        view: View = View(),  # noqa: B008
        seed: int = 0,
        processes: int | None = None,
        sticky: float = 0,
    ) -> None:
        if not 0 <= sticky < 1:
            raise ValueError(f"sticky must be at least 0 and below 1, got {sticky}")
        settings = {
            "length": length,
            "action_repeat": action_repeat,
            "view": asdict(view),
            "seed": seed,
        }
        if sticky:
            settings["sticky"] = sticky
        super().__init__(PushTSimulator(settings), root, asdict(episodes), settings, processes)


@cache
def environment() -> Any:
    """The simulator of this process."""
    return import_simulator()(obs_type="state")


def import_simulator() -> Any:
    """The class of the simulator, on a machine without a screen and without GL libraries.

    gym-pusht imports OpenCV, which needs libGL on Linux, only to resize pictures. That is not used
    here, so an empty module stands in for an OpenCV that cannot be imported.
    """
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        import_module("cv2")
    except ImportError:
        sys.modules["cv2"] = ModuleType("cv2")
    return require("gym_pusht.envs.pusht", "pusht", "PushT").PushTEnv
