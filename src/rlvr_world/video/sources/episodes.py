"""Episodes of published data sets, before they become samples of shards."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rlvr_world.data.decode import open_picture, read_picture
from rlvr_world.video.data.episodes import jpeg_members

ImageFormat = Literal["jpg", "png"]


class BadEpisode(ValueError):
    """An episode that cannot be used; its text says why."""


class Episode(NamedTuple):
    """One episode as its source holds it.

    ``frames`` are encoded images, one for each step, or uint8 [T, H, W, 3]; ``actions`` float32
    [T, A], where row t leads from frame t to t + 1; ``states`` float32 [T, S] or None; ``info`` is
    plain data that says where it comes from.
    """

    frames: Sequence[bytes] | NDArray[np.uint8]
    actions: NDArray[np.float32]
    states: NDArray[np.float32] | None
    info: Mapping[str, Any]


class EpisodeReader(ABC):
    """Episodes in a fixed order, each of which can be read alone, from any process."""

    problems: Sequence[str] = ()
    """What could not even be counted, such as the end of a file that was cut."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, index: int) -> Episode:
        """One episode.

        Raises:
            BadEpisode: If it cannot be used.
        """

    @abstractmethod
    def where(self, index: int) -> str:
        """The place of an episode in the source, as messages name it."""

    def split(self, index: int) -> str:
        """The split into which the source itself puts an episode."""
        return "train"


def frame_members(
    frames: Sequence[bytes] | NDArray[np.uint8],
    image_format: ImageFormat,
    image_size: tuple[int, int] | None,
) -> tuple[dict[str, Any], tuple[int, int, int]]:
    """The members of a sample that hold its frames, and the shape [H, W, 3] of a frame.

    JPEG files stay as they are, byte for byte, unless they are to become PNG or of another size.

    Raises:
        BadEpisode: If there are none, one is broken, or they differ in size.
    """
    if not len(frames):
        raise BadEpisode("it has no frames")
    if image_format == "jpg" and not isinstance(frames, np.ndarray):
        sizes = [jpeg_size(frame) for frame in frames]
        if None not in sizes and (image_size is None or set(sizes) == {image_size}):
            return jpeg_members(frames), (*one_size(sizes), 3)
    decoded = [decode(frame) if isinstance(frame, bytes) else frame for frame in frames]
    height, width = image_size or one_size([frame.shape[:2] for frame in decoded])
    resized = [resize(frame, height, width) for frame in decoded]
    if image_format == "jpg":
        return jpeg_members(resized), (height, width, 3)
    return {"frames.png": np.stack(resized)}, (height, width, 3)


def one_size(sizes: Sequence[Any]) -> tuple[int, int]:
    """The height and width that all frames share."""
    if len(set(sizes)) != 1:
        found = " and ".join(f"{height} x {width}" for height, width in sorted(set(sizes)))
        raise BadEpisode(f"its frames differ in size: {found}")
    return sizes[0]


def jpeg_size(image: bytes) -> tuple[int, int] | None:
    """Height and width from the header of a JPEG file; None if it is another kind of image."""
    try:
        picture = open_picture(image)
    except ValueError as error:
        raise BadEpisode(f"an image of it is broken ({error})") from error
    return (picture.height, picture.width) if picture.format == "JPEG" else None


def decode(image: bytes) -> NDArray[np.uint8]:
    """The pixels [H, W, 3] of an encoded image, as ``read_picture`` has them."""
    try:
        return read_picture(image)
    except ValueError as error:
        raise BadEpisode(f"an image of it is broken ({error})") from error


def resize(frame: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """A frame [H, W, 3] at another size, by Lanczos filtering."""
    if frame.shape[:2] == (height, width):
        return frame
    picture = Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(picture)
