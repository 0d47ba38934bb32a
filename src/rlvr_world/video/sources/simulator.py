"""What recordings ask of a simulator: to begin an episode, act, and go on with other actions."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rlvr_world.data.manifest import SPLITS

Floats = NDArray[np.float32]


class Simulator(ABC):
    """A simulator with a seeded random policy, whose episodes can be played again.

    A move is what an action asks for wherever the agent is, so that the moves of one clip make
    sense in another.

    Args:
        settings: Those of the recording.
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
        """The next frames as the files of a sample, by extension.

        Row t of the actions is what is done between frame t and frame t + 1.

        Args:
            length: The number T of frames.
            act: The action [A] at each time from 0 to T - 1; that of the policy if not given.

        Returns:
            ``frames.png`` uint8 [T, H, W, 3], ``actions.npy`` float32 [T, A] and ``states.npy``
            float32 [T, S].
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
