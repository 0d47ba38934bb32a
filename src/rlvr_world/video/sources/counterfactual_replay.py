"""Recorded simulators that play an episode again and then go on with other actions."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rlvr_world.data.manifest import ShareMoving
from rlvr_world.data.recorder import episode_rng
from rlvr_world.video.scenes.pusht import AGENT_RADIUS, ARENA, View, rotate
from rlvr_world.video.sources import metaworld, pusht

Floats = NDArray[np.float32]


class Replay(ABC):
    """The simulator of a recording.

    A move is what an action asks for wherever the agent is, so that the moves of one clip make
    sense in another.

    Args:
        settings: Those of the recording.
    """

    share_moving: ClassVar[ShareMoving]
    """Of a split's states, the share of clips in which something moves."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings

    @abstractmethod
    def begin(self, index: int) -> None:
        """Go to the start of a test episode of the recording."""

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
        """Moves [T, A] unlike any that were recorded, in the place of a clip's own."""

    def same_task(self, first: int, second: int) -> bool:
        """Whether the moves of one test episode make sense in another."""
        return True


class PushTReplay(Replay):
    """PushT: an action is the place that the agent is drawn to, a move how far that is from it.

    Unusual moves are those of the clip at twice their length, all turned by one random angle of at
    most 60 degrees.
    """

    share_moving = staticmethod(pusht.share_moving)

    def begin(self, index: int) -> None:
        self.env, self.view = pusht.simulator(), View(**self.settings["view"])
        rng = episode_rng(self.settings["seed"], "test", index)
        _, self.now = pusht.begin(self.env, rng, self.view)

    def step(self, action: Floats) -> None:
        for _ in range(self.settings["action_repeat"]):
            self.now, *_ = self.env.step(action.astype(np.float64))

    @property
    def state(self) -> NDArray[np.float64]:
        return self.now

    def frame(self) -> NDArray[np.uint8]:
        return pusht.photograph(self.env, self.view)

    def moves(self, actions: Floats, states: Floats) -> Floats:
        return actions - states[:, :2]

    def action(self, move: Floats) -> Floats:
        """The target of a move, within the view."""
        low = self.view.origin + AGENT_RADIUS
        return np.clip(self.now[:2] + move, low, ARENA - low).astype(np.float32)

    def unusual(self, moves: Floats, rng: np.random.Generator) -> Floats:
        return 2 * rotate(moves, rng.uniform(-np.pi / 3, np.pi / 3)).astype(np.float32)


class MetaWorldReplay(Replay):
    """Meta-World: actions are velocities already.

    Unusual moves are one random direction, more level than steep, at full speed, with the gripper
    doing the contrary of what it mostly did.
    """

    share_moving = staticmethod(metaworld.share_moving)

    def begin(self, index: int) -> None:
        self.scene, _ = metaworld.begin("test", index, self.settings)

    def step(self, action: Floats) -> None:
        self.scene.step(action, self.settings["action_repeat"])

    @property
    def state(self) -> Floats:
        return self.scene.state

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
        """Whether two test episodes are of one task."""
        tasks = len(self.settings["tasks"])
        return first % tasks == second % tasks


REPLAYS: dict[str, type[Replay]] = {"pusht": PushTReplay, "metaworld": MetaWorldReplay}
"""By the source that the recording's manifest names."""
