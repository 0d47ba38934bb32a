"""A folder of video files, each with its actions in a CSV file."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlvr_world.data.manifest import fingerprint
from rlvr_world.data.samples import MAX_FILE
from rlvr_world.video.sources.conversion import EpisodeConverter
from rlvr_world.video.sources.episodes import BadEpisode, Episode, EpisodeReader
from rlvr_world.video.sources.mp4 import read_video


@dataclass(frozen=True)
class VideosReader(EpisodeReader):
    """Episodes of a folder, one per video, in the order of their names."""

    source: Path
    files: list[Path]
    image_size: tuple[int, int] | None

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> Episode:
        path = self.files[index]
        states = path.with_suffix(".states.csv")
        return Episode(
            read_video(path, self.image_size),
            read_table(path.with_suffix(".csv")),
            read_table(states) if states.exists() else None,
            {"episode": self.where(index)},
        )

    def where(self, index: int) -> str:
        return str(self.files[index].relative_to(self.source))

    def split(self, index: int) -> str:
        """The folder of the video, such as ``train``, if it is not the source itself."""
        return Path(self.where(index)).parts[0] if "/" in self.where(index) else "train"


class VideosConverter(EpisodeConverter):
    """Converts video files into shards: ``NAME.mp4`` with its actions in ``NAME.csv``.

    A line of the CSV file is the action taken after the frame of the same number, as numbers with
    commas; a first line of names is passed over. ``NAME.states.csv``, if it is there, holds the
    states likewise.

    Args:
        source: Folder with the files; folders in it, such as ``train`` and ``test``, are its
            splits.
        ending: How the names of the videos end.
        **conversion: See ``EpisodeConverter``.
    """

    source_name = "videos"

    def __init__(
        self,
        source: Path,
        root: Path = Path("data/videos"),
        ending: str = ".mp4",
        **conversion: Any,
    ) -> None:
        super().__init__(source, root, **conversion)
        self.ending = ending

    def open(self) -> tuple[VideosReader, dict[str, Any]]:
        files = sorted(self.source.rglob(f"*{self.ending}"))
        if not files:
            raise FileNotFoundError(f"{self.source} holds no *{self.ending} files")
        there = sorted([*files, *self.source.rglob("*.csv")])
        sizes = {str(path.relative_to(self.source)): str(path.stat().st_size) for path in there}
        notes = {"files": fingerprint(sizes)}
        return VideosReader(self.source, files, self.image_size), notes


def read_table(path: Path) -> NDArray[np.float32]:
    """The numbers of a CSV file, float32 [T, N], without a first line of names.

    Raises:
        BadEpisode: It is missing, or its lines are not as many numbers each.
    """
    if not path.is_file():
        raise BadEpisode(f"it has no {path.name} beside it")
    if path.stat().st_size > MAX_FILE:
        raise BadEpisode(f"{path.name} is larger than {MAX_FILE} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            table = np.genfromtxt(path, delimiter=",", ndmin=2, encoding="utf-8-sig")
    except (ValueError, UserWarning) as error:
        reason = str(error).split("\n")[0]
        raise BadEpisode(f"{path.name} is no table of numbers ({reason})") from error
    named = len(table) > 0 and np.isnan(table[0]).all()
    return table[int(named) :].astype(np.float32)
