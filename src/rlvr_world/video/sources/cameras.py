"""Which cameras of an episode become its frames: one, or several side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlvr_world.video.sources.episodes import BadEpisode


@dataclass(frozen=True)
class Cameras:
    """The cameras to take, and the size of a whole frame if it is to be changed."""

    names: list[str]
    image_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.image_size and self.image_size[1] % len(self.names):
            raise ValueError(
                f"image_size {list(self.image_size)}: the width must be a multiple of the "
                f"{len(self.names)} cameras that lie side by side"
            )

    @property
    def size(self) -> tuple[int, int] | None:
        """The height and width of one camera's part of a frame."""
        if self.image_size is None:
            return None
        height, width = self.image_size
        return height, width // len(self.names)

    def together(self, views: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """One picture [T, H, W, 3] of those of each camera, from left to right."""
        if len({view.shape[:2] for view in views}) > 1:
            raise BadEpisode(
                "its cameras differ in length or height; give image_size, or take one camera"
            )
        return views[0] if len(views) == 1 else np.concatenate(views, axis=2)


def choose(
    there: Sequence[str],
    asked: Sequence[str] | None,
    image_size: tuple[int, int] | None,
    source: Path,
) -> Cameras:
    """The cameras that are asked for, or the only one.

    Raises:
        ValueError: There is no such camera, or there are several and none is asked for.
    """
    known = ", ".join(there) or "none"
    missing = [name for name in asked or () if name not in there]
    if missing:
        raise ValueError(f"cameras: {source} has no {missing[0]}; there are: {known}")
    if not asked and len(there) != 1:
        raise ValueError(
            f"{source} has the cameras {known}: choose with --cameras '[NAME]'; several lie side "
            "by side"
        )
    return Cameras(list(asked or there), image_size)


def choose_states(
    there: Sequence[str], asked: str | None, default: str | None, source: Path
) -> str | None:
    """The name of the states that are asked for; None where the default is not there.

    Raises:
        ValueError: Others are asked for and are not there.
    """
    if asked is None or asked in there:
        return asked
    if asked == default:
        return None
    raise ValueError(f"states: {source} has no {asked}; there are: {', '.join(there)}")
