"""Zarr stores of all episodes one after the other, as diffusion policy has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlvr_world.data.manifest import fingerprint
from rlvr_world.data.samples import MAX_FILE
from rlvr_world.extras import require
from rlvr_world.video.sources.cameras import Cameras, choose, choose_states
from rlvr_world.video.sources.conversion import EpisodeConverter
from rlvr_world.video.sources.episodes import (
    BadEpisode,
    Episode,
    EpisodeReader,
    ImageFormat,
    resize,
)

CODECS = {"blosc", "zlib", "gzip", "zstd", "lz4", "bz2", "lzma", "bytes", "crc32c", "transpose",
          "shuffle", "delta"}  # fmt: skip
"""The codecs that are used; others may run what a file says, such as a pickle."""
STATES = "state"


@dataclass(frozen=True)
class ZarrReader(EpisodeReader):
    """Episodes of a store, which end at some rows of its arrays."""

    store: Path
    ends: list[int]
    cameras: Cameras
    states: str | None

    def __len__(self) -> int:
        return len(self.ends)

    def read(self, index: int) -> Episode:
        rows = slice(self.ends[index - 1] if index else 0, self.ends[index])
        views = [self._view(values(self.store, f"data/{n}", rows)) for n in self.cameras.names]
        actions = values(self.store, "data/action", rows)
        states = values(self.store, f"data/{self.states}", rows) if self.states else actions
        if actions.ndim != 2 or states.ndim != 2:
            raise BadEpisode("its actions or states are not numbers [T, N]")
        return Episode(
            self.cameras.together(views),
            actions.astype(np.float32),
            states.astype(np.float32) if self.states else None,
            {"episode": self.where(index)},
        )

    def _view(self, view: NDArray[Any]) -> NDArray[np.uint8]:
        with np.errstate(invalid="ignore"):
            frames = view.astype(np.uint8)
        if view.ndim != 4 or view.shape[-1] != 3 or not np.array_equal(frames, view):
            raise BadEpisode("its frames are not whole numbers 0 to 255 [T, H, W, 3]")
        size = self.cameras.size
        return np.stack([resize(frame, *size) for frame in frames]) if size else frames

    def where(self, index: int) -> str:
        return f"episode {index}"


class ZarrConverter(EpisodeConverter):
    """Converts a zarr store (``data/img``, ``data/action``, ``meta/episode_ends``) into shards.

    Args:
        source: Folder of the store, such as ``pusht_cchi_v7_replay.zarr``.
        cameras: Names of the arrays of frames to take, such as ``[img]``; several lie side by side.
            The only one if not given.
        states: Array in ``data`` that becomes the states, if it is there.
        image_format: As below, but lossless if not given, since the source is.
        **conversion: See ``EpisodeConverter``. With several cameras ``image_size`` is that of all
            of them side by side.
    """

    source_name = "zarr"

    def __init__(
        self,
        source: Path,
        root: Path = Path("data/zarr"),
        cameras: list[str] | None = None,
        states: str | None = STATES,
        image_format: ImageFormat = "png",
        **conversion: Any,
    ) -> None:
        super().__init__(source, root, image_format=image_format, **conversion)
        self.cameras, self.states = cameras, states

    def open(self) -> tuple[ZarrReader, dict[str, Any]]:
        try:
            ends = values(self.source, "meta/episode_ends").astype(np.int64).ravel().tolist()
            length = array(self.source, "data/action").shape[0]
        except BadEpisode as error:
            raise ValueError(f"{self.source} is no zarr store of episodes: {error}") from error
        if (
            not ends
            or ends[-1] > length
            or any(a >= b for a, b in zip([0, *ends], ends, strict=False))
        ):
            raise ValueError(f"{self.source}: meta/episode_ends does not rise to {length} at most")
        names = sorted(path.name for path in (self.source / "data").iterdir() if path.is_dir())
        seen = [name for name in names if len(array(self.source, f"data/{name}").shape) == 4]
        cameras = choose(seen, self.cameras, self.image_size, self.source)
        states = choose_states(names, self.states, STATES, self.source)
        files = sorted(path for path in self.source.rglob("*") if path.is_file())
        sizes = {str(file.relative_to(self.source)): str(file.stat().st_size) for file in files}
        notes = {"files": fingerprint(sizes), "cameras": cameras.names, "states": states}
        return ZarrReader(self.source, ends, cameras, states), notes


@cache
def array(store: Path, name: str) -> Any:
    """An array of numbers in a store of this machine.

    Raises:
        BadEpisode: There is none, or one whose codecs or chunks are not to be trusted.
    """
    zarr = require("zarr", "robots", "Reading zarr")
    if not store.is_dir():
        raise BadEpisode(f"{store} is no folder")
    try:
        found = zarr.open_array(zarr.storage.LocalStore(store, read_only=True), path=name, mode="r")
        codecs = codec_names(found)
    except Exception as error:
        raise BadEpisode(f"it has no array {name} that can be read ({error})") from error
    if unknown := sorted(set(codecs) - CODECS):
        raise BadEpisode(f"its {name} is packed by {unknown[0]}, which is not unpacked")
    if found.dtype.kind not in "fiu" or not found.shape:
        raise BadEpisode(f"its {name} is {found.dtype} {found.shape}, not numbers")
    if np.prod(found.chunks, dtype=float) * found.dtype.itemsize > MAX_FILE:
        raise BadEpisode(f"a chunk of its {name} claims more than {MAX_FILE} bytes")
    return found


def codec_names(found: Any) -> list[str]:
    """The names of what an array is packed and filtered by, in versions 2 and 3 of the format."""
    described: dict[str, Any] = found.metadata.to_dict()
    codecs: Sequence[Any] = described.get("codecs") or [
        described.get("compressor"), *(described.get("filters") or ())
    ]  # fmt: skip
    return [str(codec.get("name") or codec.get("id")) for codec in codecs if codec]


def values(store: Path, name: str, rows: slice = slice(None)) -> NDArray[Any]:
    """Rows of an array.

    Raises:
        BadEpisode: They cannot be read, or claim too much.
    """
    found = array(store, name)
    count = len(range(*rows.indices(found.shape[0])))
    if count * np.prod(found.shape[1:], dtype=float) * found.dtype.itemsize > 4 * MAX_FILE:
        raise BadEpisode(f"its {name} claims more than {4 * MAX_FILE} bytes")
    try:
        return np.asarray(found[rows])
    except Exception as error:
        raise BadEpisode(f"its {name} is broken ({error})") from error
