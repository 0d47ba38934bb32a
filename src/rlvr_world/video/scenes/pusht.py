"""The PushT scene: where its T-shaped block is, from the simulator's state and from a picture.

Lengths are in simulator pixels, the arena is 512 wide and y points down; angles are in radians.
A state is ``agent x, agent y, block x, block y, block angle``, a pose its last three numbers. The
pose is that of the middle of the T's top edge, which is also the origin of the block's own frame.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

ARENA = 512.0
AGENT_RADIUS = 15.0
BLOCK_PARTS = ((-60.0, 0.0, 60.0, 30.0), (-15.0, 30.0, 15.0, 120.0))  # x0, y0, x1, y1
BLOCK_CENTRE = (0.0, 45.0)  # centre of gravity in the block's frame
OUTLINE = 2.0  # the drawn line reaches this far out of the block

WHITE, GOAL = (255, 255, 255), (144, 238, 144)
BLOCK, BLOCK_EDGE = (142, 163, 183), (119, 136, 153)
AGENT, AGENT_EDGE = (78, 126, 255), (65, 105, 225)
THINGS = {"ground": (WHITE, GOAL), "agent": (AGENT, AGENT_EDGE), "block": (BLOCK, BLOCK_EDGE)}
"""What a picture shows, with its colours."""


@dataclass(frozen=True)
class View:
    """The square window of the arena, around its centre, that a picture shows.

    Args:
        side: Side of the window in simulator pixels, at most 512 and a multiple of ``image_size``.
        image_size: Height and width of the picture in pixels.
    """

    side: int = 320
    image_size: int = 64

    def __post_init__(self) -> None:
        if not (0 < self.side <= ARENA and self.image_size > 0 and self.side % 2 == 0):
            raise ValueError(
                f"view: side must be even, above 0 and at most {ARENA:.0f}, got {self.side}"
            )
        if self.side % self.image_size:
            raise ValueError(
                f"view: side {self.side} must be a multiple of image_size {self.image_size}"
            )

    @property
    def origin(self) -> int:
        """The x, and also the y, of the window's upper left corner."""
        return int(ARENA - self.side) // 2

    @property
    def scale(self) -> int:
        """Simulator pixels per picture pixel."""
        return self.side // self.image_size


def rotate(vectors: ArrayLike, angle: ArrayLike) -> NDArray[np.float64]:
    """Turn vectors [..., 2] by angles [...], from the x axis towards the y axis."""
    x, y = np.moveaxis(np.asarray(vectors, np.float64), -1, 0)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def block_centre(poses: ArrayLike) -> NDArray[np.float64]:
    """The block's centre of gravity [..., 2] from its poses [..., 3]."""
    poses = np.asarray(poses, np.float64)
    return poses[..., :2] + rotate(BLOCK_CENTRE, poses[..., 2])


def block_vertices(poses: ArrayLike) -> NDArray[np.float64]:
    """The T's eight corners [..., 8, 2] in order around it, from its poses [..., 3]."""
    poses = np.asarray(poses, np.float64)
    (x0, y0, x1, y1), (x2, _, x3, y3) = BLOCK_PARTS
    corners = [(x0, y0), (x1, y0), (x1, y1), (x3, y1), (x3, y3), (x2, y3), (x2, y1), (x0, y1)]
    return poses[..., None, :2] + rotate(corners, poses[..., None, 2])


def inside_block(points: ArrayLike, poses: ArrayLike, margin: float = 0.0) -> NDArray[np.bool_]:
    """Which points [..., 2] lie in the block at poses [..., 3], widened by ``margin``."""
    poses = np.asarray(poses, np.float64)
    local = rotate(np.asarray(points) - poses[..., :2], -poses[..., 2])
    return _inside_parts(local[..., 0], local[..., 1], margin)


def _inside_parts(x: NDArray[Any], y: NDArray[Any], margin: float) -> NDArray[np.bool_]:
    bar, stem = (
        (x >= x0 - margin) & (x <= x1 + margin) & (y >= y0 - margin) & (y <= y1 + margin)
        for x0, y0, x1, y1 in BLOCK_PARTS
    )
    return bar | stem


def block_mask(poses: ArrayLike, view: View, samples: int = 4) -> NDArray[np.float32]:
    """How much of each pixel of a view the block drawn at poses [..., 3] covers, if nothing hid it.

    In [0, 1], [..., image_size, image_size], from ``samples`` points per pixel along each axis.
    """
    poses = np.asarray(poses, np.float64)
    size = view.image_size
    axis = view.origin + (np.arange(size * samples) + 0.5) * view.scale / samples
    masks = np.empty((*poses.shape[:-1], size, size), np.float32)
    for index in np.ndindex(poses.shape[:-1]):
        x, y, angle = poses[index]
        across, down = axis - x, (axis - y)[:, None]
        cos, sin = np.cos(angle), np.sin(angle)
        inside = _inside_parts(cos * across + sin * down, cos * down - sin * across, OUTLINE)
        masks[index] = inside.reshape(size, samples, size, samples).mean(axis=(1, 3))
    return masks


@cache
def _nearest_things() -> NDArray[np.uint8]:
    """What a colour, at 5 bits per channel [32, 32, 32], shows: an index of ``THINGS``.

    A pixel on an edge mixes two things, so the palette also holds mixtures of each object with
    each ground that it can lie on; a mixture counts as the thing that it holds more of.
    """
    palette, shown = [], []
    kinds = {colour: index for index, colours in enumerate(THINGS.values()) for colour in colours}
    for ground in (WHITE, GOAL, BLOCK):
        for thing in kinds:
            for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
                palette.append(share * np.array(thing) + (1 - share) * np.array(ground))
                shown.append(kinds[thing if share > 0.5 else ground])
    levels = np.arange(32) * 8 + 4
    colours = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
    distance = ((colours[..., None, :] - np.array(palette)) ** 2).sum(axis=-1)
    return np.array(shown, np.uint8)[distance.argmin(axis=-1)]


def pixels_of(thing: str, frames: ArrayLike) -> NDArray[np.bool_]:
    """Where pictures show one of ``THINGS``, [..., H, W], by the nearest colour of the scene.

    They are [..., 3, H, W], uint8 or floats in [0, 1].
    """
    pixels = np.asarray(frames)
    if pixels.dtype != np.uint8:
        pixels = np.rint(np.clip(pixels, 0.0, 1.0) * 255).astype(np.uint8)
    red, green, blue = np.moveaxis(pixels >> 3, -3, 0)
    return _nearest_things()[red, green, blue] == list(THINGS).index(thing)


def mask_centroid(masks: ArrayLike) -> NDArray[np.float64]:
    """The mean position (x, y) in pixels [..., 2] of masks [..., H, W]; NaN where one is empty."""
    masks = np.asarray(masks, np.float64)
    total = masks.sum(axis=(-2, -1))
    rows, columns = np.arange(masks.shape[-2]), np.arange(masks.shape[-1])
    moments = [(masks.sum(axis=-2) * columns).sum(-1), (masks.sum(axis=-1) * rows).sum(-1)]
    with np.errstate(invalid="ignore"):
        return np.stack(moments, axis=-1) / total[..., None]


def mask_iou(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union [...] of bool masks [..., H, W]; 0 where both are empty."""
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    both = (first & second).sum(axis=(-2, -1))
    either = (first | second).sum(axis=(-2, -1))
    return both / np.maximum(either, 1)


def block_moves(states: ArrayLike) -> NDArray[np.bool_]:
    """Whether the block moves by over 1 px or 0.01 rad, [..., T - 1], from states [..., T, 5]."""
    step = np.diff(np.asarray(states, np.float64), axis=-2)
    turn = np.abs((step[..., 4] + np.pi) % (2 * np.pi) - np.pi)
    return (np.linalg.norm(step[..., 2:4], axis=-1) > 1.0) | (turn > 0.01)


def agent_mask(positions: np.ndarray, view: View) -> np.ndarray:
    """Which pixels [..., H, W] have their middle in the disc of an agent at [..., 2]."""
    axis = view.origin + (np.arange(view.image_size) + 0.5) * view.scale
    across = np.square(axis - positions[..., :1])[..., None, :]
    down = np.square(axis - positions[..., 1:])[..., :, None]
    return across + down <= AGENT_RADIUS**2
