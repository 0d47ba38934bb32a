"""Data sets of Hugging Face on this disk: Arrow files of ``save_to_disk``, or Parquet."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rlvr_world.data.manifest import SPLITS, fingerprint
from rlvr_world.extras import require
from rlvr_world.video.sources.cameras import Cameras, choose, choose_states
from rlvr_world.video.sources.conversion import EpisodeConverter
from rlvr_world.video.sources.episodes import BadEpisode, Episode, EpisodeReader, pictures_of
from rlvr_world.video.sources.lerobot import MAX_ROWS, STATES, numbers

ENDINGS = (".arrow", ".parquet")


class Rows(NamedTuple):
    """Consecutive rows of a file."""

    path: Path
    first: int
    end: int


@dataclass(frozen=True)
class HuggingFaceReader(EpisodeReader):
    """Episodes of a table with a row for each frame: name, split and rows of each."""

    episodes: list[tuple[str, str, Rows]]
    cameras: Cameras
    action: str
    states: str | None

    def __len__(self) -> int:
        return len(self.episodes)

    def read(self, index: int) -> Episode:
        names = [*self.cameras.names, self.action, *filter(None, [self.states])]
        try:
            _, _, (path, first, end) = self.episodes[index]
            rows = table(path, names).slice(first, end - first).to_pydict()
        except Exception as error:
            raise BadEpisode(f"its file is broken ({' '.join(str(error).split())})") from error
        size = self.cameras.size
        views = [pictures_of(rows[camera], size) for camera in self.cameras.names]
        states = numbers(rows, self.states) if self.states else None
        info = {"episode": self.where(index)}
        return Episode(self.cameras.together(views), numbers(rows, self.action), states, info)

    def where(self, index: int) -> str:
        return f"episode {self.episodes[index][0]}"

    def split(self, index: int) -> str:
        return self.episodes[index][1]


class HuggingFaceConverter(EpisodeConverter):
    """Converts a data set of Hugging Face on this disk into shards; nothing is fetched or run.

    A row of its tables is a frame, and the rows of an episode follow one another in one file.

    Args:
        source: Folder that ``save_to_disk`` wrote, or one with Parquet files. Folders in it, or the
            first words of the files' names, are its splits.
        cameras: Columns of pictures to take, such as ``[image]``; several lie side by side. The
            only one if not given.
        states: Column that becomes the states, if it is there.
        action: Column of the actions.
        episode: Column whose value is the same for all rows of an episode.
        **conversion: See ``EpisodeConverter``. With several cameras ``image_size`` is that of all
            of them side by side.
    """

    source_name = "huggingface"

    def __init__(
        self,
        source: Path,
        root: Path = Path("data/huggingface"),
        cameras: list[str] | None = None,
        states: str | None = STATES,
        action: str = "action",
        episode: str = "episode_index",
        **conversion: Any,
    ) -> None:
        super().__init__(source, root, **conversion)
        self.cameras, self.states, self.action, self.episode = cameras, states, action, episode

    def open(self) -> tuple[HuggingFaceReader, dict[str, Any]]:
        require("pyarrow", "robots", "Reading Hugging Face data")
        files = sorted(
            p for p in self.source.rglob("*")
            if p.suffix in ENDINGS and not p.name.startswith("cache-")
        )  # fmt: skip
        if not files:
            raise FileNotFoundError(f"{self.source} holds no *.arrow and no *.parquet files")
        columns = pictures(files[0])
        for role, name in (("action", self.action), ("episode", self.episode)):
            if name not in columns:
                there = ", ".join(columns)
                raise ValueError(f"{role}: {files[0]} has no {name}; there are: {there}")
        seen = [name for name, is_picture in columns.items() if is_picture]
        cameras = choose(seen, self.cameras, self.image_size, self.source)
        states = choose_states([*columns], self.states, STATES, self.source)
        episodes = [found for path in files for found in self._episodes(path)]
        sizes = {str(path.relative_to(self.source)): str(path.stat().st_size) for path in files}
        notes = {"files": fingerprint(sizes), "cameras": cameras.names, "states": states,
                 "action": self.action, "episode": self.episode}  # fmt: skip
        return HuggingFaceReader(episodes, cameras, self.action, states), notes

    def _episodes(self, path: Path) -> list[tuple[str, str, Rows]]:
        try:
            values = table(path, [self.episode])[self.episode].to_pylist()
        except Exception as error:
            raise ValueError(f"{path} cannot be read ({' '.join(str(error).split())})") from error
        bounds = [t for t in range(1, len(values)) if values[t] != values[t - 1]]
        ends = [*bounds, len(values)] if values else []
        split = split_of(path.relative_to(self.source))
        return [
            (f"{values[first]} of {path.relative_to(self.source)}", split, Rows(path, first, end))
            for first, end in zip([0, *bounds], ends, strict=False)
        ]


def split_of(path: Path) -> str:
    """The split that a folder or the first word of a file's name says; ``train`` if none does."""
    words = [re.split(r"\W|_", part)[0] for part in path.parts]
    return next((split for word in words for split in SPLITS if word.startswith(split)), "train")


def pictures(path: Path) -> dict[str, bool]:
    """The columns of a file, and whether each holds pictures.

    Raises:
        ValueError: The file cannot be read.
    """
    import pyarrow as pa

    def is_picture(kind: Any) -> bool:
        return pa.types.is_struct(kind) and {"bytes", "path"} <= {field.name for field in kind}

    try:
        return {field.name: is_picture(field.type) for field in table(path, []).schema}
    except Exception as error:
        raise ValueError(f"{path} cannot be read ({' '.join(str(error).split())})") from error


def table(path: Path, names: list[str]) -> Any:
    """Columns of a file; all of them, without rows, if none is named."""
    import pyarrow as pa
    from pyarrow import parquet

    if path.suffix == ".parquet":
        with parquet.ParquetFile(path) as file:
            if file.metadata.num_rows > MAX_ROWS:
                raise ValueError("it is too long")
            return file.read(columns=names) if names else file.schema_arrow.empty_table()
    with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
        return stream.read_all().select(names) if names else stream.schema.empty_table()
