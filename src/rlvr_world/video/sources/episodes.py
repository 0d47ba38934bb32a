"""Episodes of published data sets and their splits, before they become samples of shards."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rlvr_world.data.decode import open_picture, read_picture
from rlvr_world.data.manifest import SPLITS
from rlvr_world.video.data.episodes import jpeg_members

ImageFormat = Literal["jpg", "png"]
SplitRule = Literal["episode", "paper", "file"]
TRAIN, VAL, TEST = range(len(SPLITS))
PAPER_STEP = 100  # every 100th episode is one to test on


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


def pictures_of(
    column: Sequence[Mapping[str, Any] | None], size: Sequence[int] | None
) -> NDArray[np.uint8]:
    """The frames [T, H, W, 3] of a table's column of pictures, each with the ``bytes`` of a file.

    Args:
        column: The pictures, as ``datasets`` and LeRobot write them.
        size: Height and width that they get; their own if not given.
    """
    files = [picture["bytes"] for picture in column if picture and picture.get("bytes")]
    if len(files) < len(column):
        raise BadEpisode("its table names pictures instead of holding them")
    frames = [resize(decode(file), *size) if size else decode(file) for file in files]
    if len({frame.shape for frame in frames}) > 1:
        raise BadEpisode("its frames differ in size")
    return np.stack(frames)


def assign_splits(
    named: Sequence[str], rule: SplitRule, val_share: float, test_share: float, seed: int
) -> NDArray[np.int8]:
    """The split of each episode, as an index into ``SPLITS``, from the one that its source names.

    ``episode`` draws the test episodes; ``paper`` tests on every 100th, from the first on; ``file``
    tests on what the source calls ``test`` or, without that, on everything it does not call
    ``train``. Validation episodes are drawn from the rest, unless ``file`` finds both ``val`` and
    ``test``. A share that is not 0 makes at least one episode.
    """
    if min(val_share, test_share) < 0 or val_share + test_share >= 1:
        raise ValueError(
            f"val_share {val_share:g} and test_share {test_share:g} must be at least 0 and leave "
            "something to train on"
        )
    splits = np.full(len(named), TRAIN, np.int8)
    rng = np.random.default_rng(seed)
    if rule == "paper":
        splits[::PAPER_STEP] = TEST
    elif rule == "file":
        splits = named_splits(named)
    else:
        draw_split(splits, TEST, test_share, rng)
    if VAL not in splits:
        draw_split(splits, VAL, val_share, rng)
    return splits


def named_splits(named: Sequence[str]) -> NDArray[np.int8]:
    """The splits that the source has."""
    names = np.asarray(named)
    splits = np.where(names == "train", TRAIN, TEST).astype(np.int8)
    if "test" in named:
        splits[np.char.startswith(names, "val")] = VAL
    return splits


def draw_split(
    splits: NDArray[np.int8], split: int, share: float, rng: np.random.Generator
) -> None:
    """Move a share of all episodes from training into another split."""
    rest = np.flatnonzero(splits == TRAIN)
    count = max(round(share * len(splits)), 1) if share else 0
    splits[rng.permutation(rest)[: min(count, len(rest) - 1)]] = split
