"""Open X-Embodiment data sets: RLDS episodes in TFRecord files, read without TensorFlow."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlvr_world.data.manifest import fingerprint
from rlvr_world.extras import require
from rlvr_world.video.sources.conversion import EpisodeConverter
from rlvr_world.video.sources.episodes import BadEpisode, Episode, EpisodeReader
from rlvr_world.video.sources.tfrecords import find_records, read_record

KINDS = {"bytes_list": "bytes", "float_list": "floats", "int64_list": "integers"}


@dataclass
class Features:
    """Which features of an RLDS data set are read; names have ``/`` between levels.

    Args:
        image: An encoded image for each step.
        actions: What an action consists of, in this order, with the dimensions of each.
        states: What a state consists of, likewise; there are none if not given.
        instruction: The task in words, of which the first is taken; none if not given.
        episode_id: A name or number of the episode; none if not given.
    """

    image: str
    actions: dict[str, int]
    states: dict[str, int] = field(default_factory=dict)
    instruction: str | None = None
    episode_id: str | None = None


@dataclass(frozen=True)
class RLDSReader(EpisodeReader):
    """Episodes of TFRecord files, one per record.

    ``first`` holds the number of the first episode of each file, and of all episodes at the end,
    ``offsets`` where each episode starts in its file.
    """

    files: list[Path]
    first: list[int]
    offsets: NDArray[np.int64]
    features: Features
    problems: list[str]

    def __len__(self) -> int:
        return len(self.offsets)

    def read(self, index: int) -> Episode:
        file = self.files[self._file(index)]
        values = read_example(read_record(file, int(self.offsets[index])))
        images = feature(values, self.features.image, "bytes_list")
        actions = columns(values, self.features.actions, len(images))
        states = columns(values, self.features.states, len(images))
        info: dict[str, Any] = {"episode": self.where(index)}
        for name in ("instruction", "episode_id"):
            key = getattr(self.features, name)
            if key is not None:
                info[name] = first_value(values, key)
        return Episode(images, actions, states if self.features.states else None, info)

    def where(self, index: int) -> str:
        number = self._file(index)
        return f"{self.files[number].name}, record {index - self.first[number]}"

    def split(self, index: int) -> str:
        """The last word before ``.tfrecord`` in the file's name."""
        return split_name(self.files[self._file(index)])

    def _file(self, index: int) -> int:
        return bisect_right(self.first, index) - 1


class RLDSConverter(EpisodeConverter):
    """Converts Open X-Embodiment TFRecords (RT-1, Bridge, any RLDS data set) into shards.

    Checksums are verified. The numbers of episodes are those of the sorted files; the original
    counts them as TFDS mixes 16 files, so that its test episodes (``split_by: paper``) are those
    of its own NPZ files only (``rlvr-world data npz``).

    Args:
        source: Folder with the ``*.tfrecord*`` files.
        features: Which features are read; ``configs/rt1`` and ``configs/bridge`` have some.
        **conversion: See ``EpisodeConverter``.
    """

    source_name = "rlds"

    def __init__(
        self,
        source: Path,
        features: Features | None = None,
        root: Path = Path("data/rlds"),
        **conversion: Any,
    ) -> None:
        if features is None or not features.actions:
            raise ValueError(
                "features must name the image and the actions of the data set: give "
                "--config configs/rt1/recording.yaml, or a file like it"
            )
        super().__init__(source, root, **conversion)
        self.features = features

    def open(self) -> tuple[RLDSReader, dict[str, Any]]:
        files = sorted(path for path in self.source.glob("*.tfrecord*") if path.is_file())
        if not files:
            raise FileNotFoundError(f"{self.source} holds no *.tfrecord* files")
        first, offsets, problems = [0], [], []
        for path in files:
            records = find_records(path)
            offsets.append(np.array(records.offsets, np.int64))
            problems += [records.problem] if records.problem else []
            first.append(first[-1] + len(records.offsets))
        reader = RLDSReader(files, first, np.concatenate(offsets), self.features, problems)
        sizes = {path.name: str(path.stat().st_size) for path in files}
        features = asdict(self.features)
        for name in ("actions", "states"):
            features[name] = [list(item) for item in features[name].items()]
        return reader, {"files": fingerprint(sizes), "features": features}


def split_name(path: Path) -> str:
    """The split that a file belongs to, such as ``train`` in ``fractal-train.tfrecord-00000``."""
    return path.name.split(".tfrecord")[0].rsplit("-", 1)[-1]


def read_example(record: bytes) -> Mapping[str, Any]:
    """The features of a ``tf.train.Example`` by name."""
    messages, protobuf = (
        require(name, "rlds", "Reading TFRecords")
        for name in ("tfrecord.example_pb2", "google.protobuf.message")
    )
    try:
        return messages.Example.FromString(record).features.feature
    except protobuf.DecodeError as error:
        raise BadEpisode("it is no tf.train.Example") from error


def feature(values: Mapping[str, Any], name: str, *kinds: str) -> Any:
    """The list of values of a feature, which must be of one of the kinds."""
    if name not in values:
        raise BadEpisode(f"it has no {name}")
    kind = values[name].WhichOneof("kind")
    if kind not in kinds:
        raise BadEpisode(f"its {name} holds {KINDS.get(kind, 'nothing')}")
    return list(getattr(values[name], kind).value)


def columns(values: Mapping[str, Any], dims: Mapping[str, int], length: int) -> NDArray[np.float32]:
    """Numeric features beside each other, float32 [T, D]."""
    parts = [np.zeros((length, 0), np.float32)]
    for name, width in dims.items():
        part = np.asarray(feature(values, name, "float_list", "int64_list"), np.float32)
        if part.size != length * width:
            raise BadEpisode(f"its {name} has {part.size} values, not {length} x {width}")
        parts.append(part.reshape(length, width))
    return np.concatenate(parts, axis=1)


def first_value(values: Mapping[str, Any], name: str) -> str | float | int:
    """The first value of a feature; bytes as text."""
    entries = feature(values, name, *KINDS)
    if not entries:
        raise BadEpisode(f"its {name} is empty")
    return entries[0].decode(errors="replace") if isinstance(entries[0], bytes) else entries[0]
