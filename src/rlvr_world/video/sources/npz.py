"""The episodes that the original converts RT-1 into: an ``.npz`` with ``image`` and ``action``."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlvr_world.data.decode import read_array
from rlvr_world.data.manifest import fingerprint
from rlvr_world.data.samples import MAX_FILE
from rlvr_world.video.sources.conversion import EpisodeConverter
from rlvr_world.video.sources.episodes import BadEpisode, Episode, EpisodeReader, ImageFormat


@dataclass(frozen=True)
class NPZReader(EpisodeReader):
    """Episodes of NPZ files, one per file, in order."""

    files: list[Path]

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> Episode:
        arrays = read_arrays(self.files[index], ("image", "action"))
        image, action = arrays["image"], arrays["action"]
        if image.dtype != np.uint8 or image.ndim != 4 or image.shape[-1] != 3:
            raise BadEpisode(f"its image is {image.dtype} {image.shape}, not uint8 [T, H, W, 3]")
        if action.ndim != 2 or action.dtype.kind not in "fiu":
            raise BadEpisode(f"its action is {action.dtype} {action.shape}, not numbers [T, A]")
        return Episode(image, action.astype(np.float32), None, {"episode": self.where(index)})

    def where(self, index: int) -> str:
        return self.files[index].name

    def split(self, index: int) -> str:
        """The first word of the file's name, as in ``train_eps_00000000.npz``."""
        return self.files[index].name.split("_")[0]


class NPZConverter(EpisodeConverter):
    """Converts the original's NPZ episodes into shards.

    With ``split_by: paper`` the test episodes are the original's: sorted files, every 100th.

    Args:
        source: Folder with the files, ``image`` uint8 [T, H, W, 3] and ``action`` [T, A] in each.
        image_format: As below, but lossless if not given, since the source is.
        **conversion: See ``EpisodeConverter``.
    """

    source_name = "npz"

    def __init__(
        self,
        source: Path,
        root: Path = Path("data/npz"),
        image_format: ImageFormat = "png",
        **conversion: Any,
    ) -> None:
        super().__init__(source, root, image_format=image_format, **conversion)

    def open(self) -> tuple[NPZReader, dict[str, Any]]:
        files = sorted(self.source.glob("*.npz"))
        if not files:
            raise FileNotFoundError(f"{self.source} holds no *.npz files")
        sizes = {path.name: str(path.stat().st_size) for path in files}
        return NPZReader(files), {"files": fingerprint(sizes)}


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Arrays of an NPZ file by name; pickled objects are refused."""
    try:
        with zipfile.ZipFile(path) as file:
            sizes = {info.filename: info.file_size for info in file.infolist()}
            missing = [name for name in names if f"{name}.npy" not in sizes]
            if max(sizes.get(f"{name}.npy", 0) for name in names) > MAX_FILE:
                raise ValueError(f"it claims more than {MAX_FILE} bytes")
            if not missing:
                return {name: read_array(file.read(f"{name}.npy"), "fiub") for name in names}
    except Exception as error:
        raise BadEpisode(f"it is broken ({error})") from error
    raise BadEpisode(f"it has no {' and no '.join(missing)}")
