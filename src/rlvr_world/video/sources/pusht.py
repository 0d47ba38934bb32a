"""Recordings of PushT: the simulator of gym-pusht, its own drawing, and a policy that pushes."""

import importlib
import os
import sys
from dataclasses import asdict
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rlvr_world.data.recorder import EpisodeRecorder, Episodes, episode_rng
from rlvr_world.data.samples import Sample
from rlvr_world.video.scenes.pusht import View, block_moves
from rlvr_world.video.sources.pusher import Pusher


def share_moving(states: list[NDArray[np.float32]]) -> float:
    """The share of clips at whose end the block moves.

    A clip is any 3 consecutive frames; the block moves at its end if it moves by over 1 simulator
    pixel or 0.01 rad between the last two.

    Args:
        states: The states [T, 5] of each episode.
    """
    moves = [block_moves(episode)[1:] for episode in states]
    return float(np.concatenate(moves).mean())


class PushTRecorder(EpisodeRecorder):
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

    source = "pusht"
    packages = ("gym-pusht", "pymunk", "pygame")
    share_moving = staticmethod(share_moving)

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
        settings = {
            "length": length,
            "action_repeat": action_repeat,
            "view": asdict(view),
            "seed": seed,
        }
        super().__init__(root, asdict(episodes), settings, processes)

    def sample(self, split: str, index: int) -> Sample:
        """Record the episode with the given index of a split."""
        kept = {k: self.settings[k] for k in ("seed", "length", "action_repeat", "view")}
        rng = episode_rng(kept["seed"], split, index)
        view = View(**kept["view"])
        episode = record_episode(simulator(), rng, kept["length"], kept["action_repeat"], view)
        return f"{split}-{index:06d}", {
            "frames.png": episode["frames"],
            "actions.npy": episode["actions"],
            "states.npy": episode["states"],
            "json": kept | {"episode": index},
        }


@cache
def simulator() -> Any:
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


def begin(env: Any, rng: np.random.Generator, view: View) -> tuple[Pusher, NDArray[np.float64]]:
    """Put the simulator where an episode starts; the policy of the episode and its state [5]."""
    pusher = Pusher(rng, view)
    state, _ = env.reset(options={"reset_to_state": pusher.start()})
    return pusher, state


def record_episode(
    env: Any, rng: np.random.Generator, length: int, action_repeat: int, view: View
) -> dict[str, NDArray[Any]]:
    """One episode: ``frames`` uint8 [T, H, W, 3], ``actions`` [T, 2] and ``states`` [T, 5].

    Row t of the actions is the target position, in simulator pixels, that the agent is drawn to
    between frame t and frame t + 1.
    """
    pusher, state = begin(env, rng, view)
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
