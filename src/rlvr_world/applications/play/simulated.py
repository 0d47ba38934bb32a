"""What the simulator of a recording shows when a person acts in it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlvr_world.data.manifest import SPLITS
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.video import episodes
from rlvr_world.video.sources.metaworld import MetaWorldSimulator
from rlvr_world.video.sources.pusht import PushTSimulator
from rlvr_world.video.sources.recorder import Simulator

SIMULATORS: dict[str, type[Simulator]] = {
    "pusht": PushTSimulator,
    "metaworld": MetaWorldSimulator,
}


class Simulated:
    """Plays episodes of a recording again, with other actions from some frame on.

    Args:
        root: Folder of the recording.
        split: The split whose episodes are played.

    Raises:
        ValueError: The recording is of no simulator.
        ModuleNotFoundError: The simulator is not installed.
    """

    def __init__(self, root: Path, split: str) -> None:
        manifest = Manifest.load(root)
        if manifest.source not in SIMULATORS or split not in SPLITS:
            raise ValueError(f"the split {split} of {manifest.source} is not played by a simulator")
        self.split = split
        self.simulator = SIMULATORS[manifest.source](manifest.settings)
        self.simulator.begin(split, 0)
        self.actions = {each["key"]: each["actions"] for each in episodes(root, split)}
        self.played: tuple[str, list[bytes]] = "", []

    def past(self, key: str, window: int, stride: int) -> list[NDArray[np.float32]]:
        """The actions that lead from the episode's start to the last given frame of a clip."""
        episode, _, start = key.rpartition(":")
        return list(self.actions[episode][: int(start) + (window - 1) * stride])

    def frame(self, key: str, actions: Sequence[NDArray[np.float32]]) -> NDArray[np.uint8]:
        """The picture [H, W, 3] after actions [A] from the start of a clip's episode."""
        episode, wanted = key.rpartition(":")[0], [action.tobytes() for action in actions]
        name, done = self.played
        if name != episode or done != wanted[: len(done)]:
            self.simulator.begin(self.split, int(episode.rpartition("-")[2]))
            done = []
        self.played = "", []  # unless all goes well
        for action in actions[len(done) :]:
            self.simulator.step(action)
        self.played = episode, wanted
        return self.simulator.frame()


def simulated(data: Any, split: str) -> tuple[Simulated | None, str]:
    """The simulator of a recording, or None and why there is none."""
    if not isinstance(data, str | Path):
        return None, "the data is no recording"
    try:
        return Simulated(Path(data), split), ""
    except (ValueError, ModuleNotFoundError) as error:
        return None, str(error)
