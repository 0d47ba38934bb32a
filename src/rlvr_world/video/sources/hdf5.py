"""HDF5 files of demonstrations as robomimic and LIBERO lay them out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlvr_world.data.manifest import fingerprint
from rlvr_world.data.samples import MAX_FILE
from rlvr_world.extras import require
from rlvr_world.video.sources.cameras import Cameras, choose
from rlvr_world.video.sources.conversion import EpisodeConverter
from rlvr_world.video.sources.episodes import (
    BadEpisode,
    Episode,
    EpisodeReader,
    ImageFormat,
    resize,
)

ENDINGS = (".hdf5", ".h5")
MASKS = ("train", "valid", "test")


@dataclass(frozen=True)
class HDF5Reader(EpisodeReader):
    """Demonstrations in files: the file and the name of each, and the split it is in."""

    demos: list[tuple[Path, str, str]]
    cameras: Cameras
    states: str | None

    def __len__(self) -> int:
        return len(self.demos)

    def read(self, index: int) -> Episode:
        path, name, _ = self.demos[index]
        try:
            with opened(path) as file:
                demo = item(file, f"data/{name}")
                views = [self._view(values(demo, f"obs/{camera}")) for camera in self.cameras.names]
                arrays = [values(demo, n) for n in ("actions", *filter(None, [self.states]))]
        except BadEpisode:
            raise
        except Exception as error:
            raise BadEpisode(f"it is broken ({error})") from error
        if any(array.ndim != 2 or array.dtype.kind not in "fiu" for array in arrays):
            raise BadEpisode("its actions or states are not numbers [T, N]")
        actions, *rest = [array.astype(np.float32) for array in arrays]
        frames = self.cameras.together(views)
        return Episode(frames, actions, rest[0] if rest else None, {"episode": self.where(index)})

    def _view(self, view: NDArray[Any]) -> NDArray[np.uint8]:
        if not is_film(view) or not len(view):
            raise BadEpisode(f"its frames are {view.dtype} {view.shape}, not uint8 [T, H, W, 3]")
        size = self.cameras.size
        return np.stack([resize(frame, *size) for frame in view]) if size else view

    def where(self, index: int) -> str:
        path, name, _ = self.demos[index]
        return f"{path.name}, {name}"

    def split(self, index: int) -> str:
        """The split in whose ``mask`` the demonstration is."""
        return self.demos[index][2]


class HDF5Converter(EpisodeConverter):
    """Converts HDF5 demonstrations (``data/demo_0/actions``, ``.../obs/CAMERA``) into shards.

    Args:
        source: A file, or a folder with files, of robomimic or LIBERO.
        cameras: Names of the cameras to take, such as ``[agentview_image]``; several lie side by
            side. The only one if not given.
        states: What of a demonstration becomes its states, such as ``states`` (the simulator's) or
            ``obs/robot0_eef_pos``; nothing if not given.
        image_format: As below, but lossless if not given, since the source is.
        **conversion: See ``EpisodeConverter``. With several cameras ``image_size`` is that of all
            of them side by side.
    """

    source_name = "hdf5"

    def __init__(
        self,
        source: Path,
        root: Path = Path("data/hdf5"),
        cameras: list[str] | None = None,
        states: str | None = None,
        image_format: ImageFormat = "png",
        **conversion: Any,
    ) -> None:
        super().__init__(source, root, image_format=image_format, **conversion)
        self.cameras, self.states = cameras, states

    def open(self) -> tuple[HDF5Reader, dict[str, Any]]:
        there = sorted(self.source.rglob("*")) if self.source.is_dir() else [self.source]
        files = [path for path in there if path.suffix in ENDINGS and path.is_file()]
        demos = [demo for path in files for demo in listed(path)]
        if not demos:
            raise FileNotFoundError(
                f"{self.source} holds no {' or '.join(ENDINGS)} with data/demo_0"
            )
        path, name, _ = demos[0]
        seen = film_names(path, name, self.states)
        cameras = choose(seen, self.cameras, self.image_size, self.source)
        sizes = {
            str(file.relative_to(self.source.parent)): str(file.stat().st_size) for file in files
        }
        notes = {"files": fingerprint(sizes), "cameras": cameras.names, "states": self.states}
        return HDF5Reader(demos, cameras, self.states), notes


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A file to read; ``OSError`` if it is none."""
    with require("h5py", "robots", "Reading HDF5").File(path, "r") as file:
        yield file


def listed(path: Path) -> list[tuple[Path, str, str]]:
    """The demonstrations of a file in the order of their numbers, with their splits."""
    try:
        with opened(path) as file:
            names = sorted(item(file, "data"), key=lambda name: (len(name), name))
            splits = dict.fromkeys(names, "train")
            for mask in MASKS if "mask" in file else ():
                members = values(file, f"mask/{mask}") if mask in item(file, "mask") else ()
                splits |= {bytes(m).decode(): mask for m in members if isinstance(m, bytes)}
    except ModuleNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{path} cannot be read as HDF5 of demonstrations ({error})") from error
    return [(path, name, splits[name]) for name in names]


def film_names(path: Path, name: str, states: str | None) -> list[str]:
    """The cameras of a demonstration, in which there are the states, if any are named.

    Raises:
        ValueError: It cannot be read, or has no such states.
    """
    try:
        with opened(path) as file:
            demo = item(file, f"data/{name}")
            obs = item(demo, "obs")
            if states:
                item(demo, states)
            return [camera for camera in obs if is_film(item(obs, camera))]
    except Exception as error:
        raise ValueError(f"{path}, {name} cannot be read ({error})") from error


def is_film(data: Any) -> bool:
    """Whether a dataset or array holds frames, uint8 [T, H, W, 3]."""
    shape: tuple[int, ...] = getattr(data, "shape", ())
    return len(shape) == 4 and shape[-1] == 3 and data.dtype == np.uint8


def item(group: Any, path: str) -> Any:
    """What lies in a group at a path, without any link that leads out of the file.

    Raises:
        BadEpisode: There is nothing, or a link.
    """
    h5py = require("h5py", "robots", "Reading HDF5")
    for name in path.split("/"):
        if not isinstance(group, h5py.Group) or name not in group:
            raise BadEpisode(f"it has no {path}")
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise BadEpisode(f"its {path} is a link, which is not followed")
        group = group[name]
    return group


def values(group: Any, path: str) -> NDArray[Any]:
    """The values of a dataset that lies in the file itself.

    Raises:
        BadEpisode: It is no such dataset, or claims too much.
    """
    data = item(group, path)
    if not hasattr(data, "is_virtual"):
        raise BadEpisode(f"its {path} is no dataset")
    if data.is_virtual or data.external:
        raise BadEpisode(f"its {path} lies in other files, which are not read")
    if data.nbytes > MAX_FILE:
        raise BadEpisode(f"its {path} claims more than {MAX_FILE} bytes")
    return data[()]
