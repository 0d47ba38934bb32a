"""The numbers that describe a scene of Meta-World.

A state is ``gripper x, y, z, opening, object x, y, z``: positions in metres in the simulator's
frame, the opening from 0 (closed) to 1. The object is what the task moves: the drawer's or the
door's handle, the button, the puck, the faucet's handle.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

STATE_SIZE = 7
OBJECT = slice(4, 7)
MOVING = 1e-3  # metres between two frames


def object_moves(states: ArrayLike) -> NDArray[np.bool_]:
    """Whether the object moves by over 1 mm, [..., T - 1], from states [..., T, 7]."""
    step = np.diff(np.asarray(states, np.float64)[..., OBJECT], axis=-2)
    return np.linalg.norm(step, axis=-1) > MOVING
