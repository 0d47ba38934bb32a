"""What is knowable of a controlled object without a picture: regressions on the true states."""

from collections.abc import Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlvr_world.types import Batch
from rlvr_world.video.data.video import episodes

GIVEN = 2
"""The last given states that a regression looks at, at most."""

EPISODES = 200
"""Training episodes that regressions are fitted on, at most."""

VELOCITY, STATES_AND_ACTION = "velocity", "states_and_action"

Numbers = NDArray[np.float64]


class StateReferences:
    """Linear regressions of where the controlled object will be, fitted on training episodes.

    ``velocity`` knows the places in the last two given states, ``states_and_action`` these and all
    actions up to the frame. With one given state the former is left out.

    Args:
        root: Folder of the training episodes, with their states.
        columns: The columns of a state that hold the object's place.
        scale: Units of the table for each unit of the state.
    """

    def __init__(self, root: Path, columns: Sequence[int], scale: float) -> None:
        self.root, self.columns, self.scale = root, list(columns), scale

    @cached_property
    def training(self) -> list[tuple[Numbers, Numbers]]:
        """The places and the actions of each training episode."""
        read = [
            (each["states"][:, self.columns] * self.scale, each["actions"].astype(np.float64))
            for each in islice(episodes(self.root, "train"), EPISODES)
        ]
        if not read:
            raise ValueError(f"{self.root} has no training episodes to fit regressions on")
        return read

    def clips(self, length: int) -> tuple[Numbers, Numbers]:
        """Places [N, T, K] and actions [N, T, A] of all training clips of a length."""
        cut = [
            [each[start : start + length] for each in episode]
            for episode in self.training
            for start in range(len(episode[0]) - length + 1)
        ]
        places, actions = zip(*cut, strict=True)
        return np.stack(places), np.stack(actions)

    def errors(self, batch: Batch, frames: int) -> dict[str, Tensor]:
        """Distances [B, F] to the true places in the last frames, in the table's unit, by row."""
        places = batch["states"][..., self.columns].double().cpu().numpy() * self.scale
        asked = places, batch["actions"].double().cpu().numpy()
        known, given = self.clips(places.shape[1]), places.shape[1] - frames
        if known[1].shape[2] != asked[1].shape[2]:
            raise ValueError(
                f"scene.training: {self.root} has actions of {known[1].shape[2]} numbers, but the "
                f"clips have {asked[1].shape[2]} for each frame; leave it out"
            )
        rows = {VELOCITY: False} if given >= GIVEN else {}
        rows[STATES_AND_ACTION] = True
        return {row: distances(known, asked, given, acts) for row, acts in rows.items()}


def distances(
    known: tuple[Numbers, Numbers], asked: tuple[Numbers, Numbers], given: int, acts: bool
) -> Tensor:
    """How far regressions on known clips are off in the frames of others, [B, F]."""
    errors = []
    for frame in range(given, known[0].shape[1]):
        inputs = [regressors(*clips, given, frame, acts) for clips in (known, asked)]
        weights = np.linalg.lstsq(inputs[0], known[0][:, frame], rcond=None)[0]
        errors.append(np.linalg.norm(inputs[1] @ weights - asked[0][:, frame], axis=-1))
    return torch.from_numpy(np.stack(errors, axis=1)).float()


def regressors(places: Numbers, actions: Numbers, given: int, frame: int, acts: bool) -> Numbers:
    """What the place in a frame is regressed on, [N, R].

    The last given places of [N, T, K], 1, and with ``acts`` the actions [N, T, A] from the last
    given frame up to this one.
    """
    count = len(places)
    inputs = [places[:, max(given - GIVEN, 0) : given].reshape(count, -1), np.ones((count, 1))]
    if acts:
        inputs.append(actions[:, given - 1 : frame].reshape(count, -1))
    return np.concatenate(inputs, axis=1)
