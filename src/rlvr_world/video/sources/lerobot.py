"""LeRobot data sets of versions 2 and 3, read as they lie: Parquet tables and MP4 files."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlvr_world.data.manifest import SPLITS, fingerprint
from rlvr_world.extras import require
from rlvr_world.files import read_json
from rlvr_world.video.sources.cameras import Cameras, choose, choose_states
from rlvr_world.video.sources.conversion import EpisodeConverter
from rlvr_world.video.sources.episodes import BadEpisode, Episode, EpisodeReader, pictures_of
from rlvr_world.video.sources.mp4 import read_video

TABLES = {2: "data/chunk-{:03d}/episode_{:06d}.parquet", 3: "data/chunk-{:03d}/file-{:03d}.parquet"}
VIDEOS = {2: "videos/chunk-{1:03d}/{0}/episode_{2:06d}.mp4",
          3: "videos/{0}/chunk-{1:03d}/file-{2:03d}.mp4"}  # fmt: skip
STATES = "observation.state"
MAX_ROWS = 10**8  # of a table


class Place(NamedTuple):
    """The chunk and the file that an episode lies in, and the second at which it begins there."""

    chunk: int
    file: int
    start: float = 0.0


@dataclass(frozen=True)
class LeRobotReader(EpisodeReader):
    """Episodes of a data set.

    Args:
        source: Its folder.
        version: 2 or 3.
        fps: Frames per second.
        episodes: The number of each episode, the place of its rows, and those of its videos by
            camera.
        splits: The first and the last but one number of an episode of each split.
        cameras: The cameras to take.
        columns: The columns of the table with actions, states (or None) and pictures.
    """

    source: Path
    version: int
    fps: float
    episodes: list[tuple[int, Place, dict[str, Place]]]
    splits: dict[str, tuple[int, int]]
    cameras: Cameras
    columns: tuple[str, str | None, list[str]]

    def __len__(self) -> int:
        return len(self.episodes)

    def read(self, index: int) -> Episode:
        number, place, videos = self.episodes[index]
        action, state, pictures = self.columns
        path = self.source / TABLES[self.version].format(place.chunk, place.file)
        names = [action, "timestamp", *([state] if state else []), *pictures]
        rows = read_rows(path, names, number)
        times = numbers(rows, "timestamp")[:, 0]
        views = [
            pictures_of(rows[camera], self.cameras.size)
            if camera in pictures
            else self._video(camera, videos[camera], times)
            for camera in self.cameras.names
        ]
        states = numbers(rows, state) if state else None
        info = {"episode": self.where(index)}
        return Episode(self.cameras.together(views), numbers(rows, action), states, info)

    def _video(self, camera: str, place: Place, times: NDArray[np.float32]) -> NDArray[np.uint8]:
        path = self.source / VIDEOS[self.version].format(camera, place.chunk, place.file)
        seconds = [place.start + float(time) for time in times]
        return read_video(path, self.cameras.size, seconds, 0.5 / self.fps)

    def where(self, index: int) -> str:
        return f"episode {self.episodes[index][0]}"

    def split(self, index: int) -> str:
        """The split of the data set's own that the episode is in."""
        number = self.episodes[index][0]
        return next((n for n, (low, high) in self.splits.items() if low <= number < high), "train")


class LeRobotConverter(EpisodeConverter):
    """Converts a LeRobot data set (v2.0, v2.1 or v3.0) into shards.

    Args:
        source: Folder of the data set, with ``meta/info.json``.
        cameras: Names of the cameras to take, such as ``[observation.images.top]``; several lie
            side by side. The only one if not given.
        states: Column that becomes the states, if it is there.
        action: Column of the actions.
        **conversion: See ``EpisodeConverter``. With several cameras ``image_size`` is that of all
            of them side by side.
    """

    source_name = "lerobot"

    def __init__(
        self,
        source: Path,
        root: Path = Path("data/lerobot"),
        cameras: list[str] | None = None,
        states: str | None = STATES,
        action: str = "action",
        **conversion: Any,
    ) -> None:
        super().__init__(source, root, **conversion)
        self.cameras, self.states, self.action = cameras, states, action

    def open(self) -> tuple[LeRobotReader, dict[str, Any]]:
        path = self.source / "meta" / "info.json"
        if not path.is_file():
            raise FileNotFoundError(f"{self.source} holds no meta/info.json")
        try:
            info = read_json(path)
            version = int(str(info["codebase_version"]).removeprefix("v").partition(".")[0])
            kinds = {str(n): each["dtype"] for n, each in info["features"].items() if "/" not in n}
            fps, splits = float(info["fps"]), parse_splits(info.get("splits", {}))
            size = int(info.get("chunks_size", 1000))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} does not describe a LeRobot data set ({error!r})") from error
        if version not in TABLES or not (fps > 0 and size > 0):
            raise ValueError(f"{path}: only versions 2 and 3 can be read, not {version}")
        seen = [name for name, kind in kinds.items() if kind in ("video", "image")]
        cameras = choose(seen, self.cameras, self.image_size, self.source)
        state = choose_states([*kinds], self.states, STATES, self.source)
        if self.action not in kinds:
            raise ValueError(f"action: {path} has no {self.action}; there are: {', '.join(kinds)}")
        films = [name for name in cameras.names if kinds[name] == "video"]
        episodes = list(
            located_v2(self.source, size, films) if version == 2 else located_v3(self.source, films)
        )
        columns = (self.action, state, [n for n in cameras.names if kinds[n] == "image"])
        reader = LeRobotReader(self.source, version, fps, episodes, splits, cameras, columns)
        return reader, notes(self.source) | {
            "cameras": cameras.names, "states": state, "action": self.action
        }  # fmt: skip


def notes(source: Path) -> dict[str, Any]:
    """What identifies the files of a data set."""
    files = sorted(p for p in source.rglob("*") if p.suffix in (".parquet", ".mp4", ".jsonl"))
    sizes = {str(file.relative_to(source)): str(file.stat().st_size) for file in files}
    return {"files": fingerprint(sizes)}


def parse_splits(splits: dict[str, str]) -> dict[str, tuple[int, int]]:
    """The splits, in which ``0:50`` says the first episode and the one after the last."""
    parsed = {}
    for name, text in splits.items():
        low, _, high = text.partition(":")
        parsed[next((s for s in SPLITS if name.startswith(s)), name)] = (int(low), int(high))
    return parsed


def located_v2(
    source: Path, size: int, films: Sequence[str]
) -> Iterator[tuple[int, Place, dict[str, Place]]]:
    """The episodes that ``meta/episodes.jsonl`` lists: a file for each, ``size`` to a chunk."""
    path = source / "meta" / "episodes.jsonl"
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            number = int(json.loads(line)["episode_index"])
            place = Place(number // size, number)
            yield number, place, dict.fromkeys(films, place)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} does not list episodes ({error!r})") from error


def located_v3(source: Path, films: Sequence[str]) -> Iterator[tuple[int, Place, dict[str, Place]]]:
    """The episodes that the tables in ``meta/episodes`` list: many in a file."""
    keys = {"": ("data/chunk_index", "data/file_index")} | {
        film: tuple(f"videos/{film}/{end}" for end in ("chunk_index", "file_index",
                                                       "from_timestamp"))
        for film in films
    }  # fmt: skip
    names = ["episode_index", *(key for each in keys.values() for key in each)]
    paths = sorted((source / "meta" / "episodes").rglob("*.parquet"))
    if not paths:
        raise FileNotFoundError(f"{source} holds no meta/episodes/*/*.parquet")
    for path in paths:
        try:
            rows = read_rows(path, names)
            for at, number in enumerate(rows["episode_index"]):
                places = {
                    film: Place(*(int(rows[key][at]) for key in each[:2]),
                                *(float(rows[key][at]) for key in each[2:]))
                    for film, each in keys.items()
                }  # fmt: skip
                yield int(number), places.pop(""), places
        except (BadEpisode, ValueError, TypeError) as error:
            raise ValueError(f"{path} does not list episodes ({error})") from error


def read_rows(path: Path, names: list[str], episode: int | None = None) -> dict[str, list[Any]]:
    """Columns of a Parquet table by name: all rows, or those of one episode.

    Raises:
        BadEpisode: The table is broken, is too long, lacks a column or has no such rows.
    """
    parquet = require("pyarrow.parquet", "robots", "Reading LeRobot data")
    try:
        with parquet.ParquetFile(path) as file:
            missing = sorted(set(names) - set(file.schema_arrow.names))
            if missing or file.metadata.num_rows > MAX_ROWS:
                raise BadEpisode(
                    f"{path.name} has no {missing[0]}" if missing else "it is too long"
                )
        filters = None if episode is None else [("episode_index", "=", episode)]
        rows = parquet.read_table(path, columns=names, filters=filters, partitioning=None)
    except BadEpisode:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise BadEpisode(f"{path.name} is broken ({reason})") from error
    if not len(rows):
        raise BadEpisode(f"{path.name} has no rows of it")
    return {name: rows[name].to_pylist() for name in names}


def numbers(rows: dict[str, list[Any]], name: str) -> NDArray[np.float32]:
    """A column as float32 [T, N]."""
    try:
        values = np.asarray(rows[name], np.float32)
    except (ValueError, TypeError) as error:
        raise BadEpisode(f"its {name} is not as many numbers in every row") from error
    if values.ndim > 2:
        raise BadEpisode(f"its {name} has a shape of {values.shape[1:]} in a row")
    return values.reshape(len(values), -1)
