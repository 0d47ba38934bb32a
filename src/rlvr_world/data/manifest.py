"""What a folder of shards holds, in ``manifest.json`` beside them."""

import hashlib
import json
import os
import tarfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rlvr_world.data.action_ranges import ActionRanges
from rlvr_world.data.samples import decode_episode

SPLITS = ("train", "val", "test")
ShareMoving = Callable[[list[NDArray[np.float32]]], float]


@dataclass
class Shard:
    """One tar file: its name, its episodes and the SHA-256 of its bytes."""

    name: str
    episodes: int
    sha256: str

    @property
    def samples(self) -> int:
        """Each episode is a sample."""
        return self.episodes


@dataclass
class Split:
    """The shards of one split and what is in them.

    ``lengths`` counts episodes by frames, ``shapes`` holds the shape of one time step by array
    name, ``share_moving`` the share of clips in which something moves, as the source defines it.
    """

    episodes: int
    frames: int
    lengths: dict[int, int]
    shapes: dict[str, tuple[int, ...]]
    share_moving: float | None
    shards: list[Shard]


@dataclass
class ShardManifest(ABC):
    """A data set of any kind: where it comes from, and what is in its shards.

    A split has ``shards``, and each of them a ``name``, its number of ``samples`` and the
    ``sha256`` of its bytes; ``fingerprint`` is a hash over the hashes of all shards.
    """

    source: str
    settings: dict[str, Any]
    versions: dict[str, str]
    splits: dict[str, Any]
    fingerprint: str

    @classmethod
    @abstractmethod
    def parse(cls, fields: dict[str, Any]) -> Self:
        """The manifest whose JSON was read."""

    @classmethod
    def load(cls, root: str | Path, made_by: str = "rlvr-world data") -> Self:
        """Read the manifest of a folder.

        Args:
            root: The folder.
            made_by: The command that makes such data, for the error message.

        Raises:
            FileNotFoundError: If there is none; the text says which command makes it.
            ValueError: If it is not a manifest.
        """
        path = Path(root) / "manifest.json"
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist: make the data with `{made_by}`")
        try:
            return cls.parse(json.loads(path.read_text()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is not a manifest of shards: {error}") from error

    def save(self, root: str | Path) -> None:
        """Write ``manifest.json`` into a folder, whole or not at all."""
        write_json(Path(root) / "manifest.json", asdict(self))


@dataclass
class Manifest(ShardManifest):
    """A data set of episodes.

    ``actions`` holds the ``min``, ``max``, 1 % and 99 % quantile (``q01``, ``q99``) of each action
    dimension over the first split, as ``ActionRanges`` finds them. ``skipped`` counts the
    ``episodes`` of the source that could not be used, and holds the first ``reasons``.
    """

    actions: dict[str, list[float]]
    skipped: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> Self:
        """The manifest whose JSON was read."""
        for split in fields["splits"].values():
            split["shards"] = [Shard(**shard) for shard in split["shards"]]
            split["shapes"] = {name: tuple(step) for name, step in split["shapes"].items()}
            split["lengths"] = {int(frames): n for frames, n in split["lengths"].items()}
        splits = {name: Split(**split) for name, split in fields["splits"].items()}
        return cls(**fields | {"splits": splits})

    @classmethod
    def build(
        cls,
        root: str | Path,
        source: str,
        settings: Mapping[str, Any],
        versions: Mapping[str, str] | None = None,
        share_moving: ShareMoving | None = None,
        splits: Sequence[str] = SPLITS,
        skipped: Mapping[str, Any] | None = None,
    ) -> Self:
        """Read all shards ``{split}-*.tar`` of a folder and describe them.

        Args:
            root: The folder.
            source: What made the data.
            settings: What it was made with.
            versions: Versions of the programs that made it.
            share_moving: Takes a split's states, a list of [T, S], and returns the share of its
                clips in which something moves.
            splits: The splits that there may be.
            skipped: What of the source could not be used.
        """
        found: dict[str, Split] = {}
        ranges = ActionRanges()
        for name in splits:
            paths = sorted(Path(root).glob(f"{name}-*.tar"))
            if not paths:
                continue
            found[name] = _describe(paths, share_moving, None if found else ranges)
        if not found:
            raise FileNotFoundError(f"{root} holds no shards")
        shards = [shard for split in found.values() for shard in split.shards]
        return cls(
            source=source,
            settings=dict(settings),
            versions=dict(versions or {}),
            splits=found,
            fingerprint=fingerprint({shard.name: shard.sha256 for shard in shards}),
            actions=ranges.ranges(),
            skipped=dict(skipped or {}),
        )


def read_members(path: Path, only: Collection[str] | None = None) -> Iterator[dict[str, Any]]:
    """The raw samples of a sound shard, as WebDataset would group them.

    Args:
        path: The shard.
        only: The extensions of the files that are read; all if not given.
    """
    sample: dict[str, Any] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, extension = member.name.split(".", 1)
            if sample and sample["__key__"] != key:
                yield sample
                sample = {}
            sample |= {"__key__": key, "__url__": str(path)}
            if only is None or extension in only:
                content = tar.extractfile(member)
                sample[extension] = content and content.read()
    if sample:
        yield sample


def write_json(path: Path, value: Any) -> None:
    """Write plain data as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
    os.replace(unfinished, path)


def _describe(
    paths: list[Path], share_moving: ShareMoving | None, ranges: ActionRanges | None
) -> Split:
    """What the shards of a split hold; its actions are added to the ranges.

    Memory does not grow with the shards, except by states that ``share_moving`` needs.
    """
    shapes = _step_shapes(next(read_members(paths[0])))
    small = {name: shape for name, shape in shapes.items() if name in ("actions", "states")}
    lengths, states, shards = Counter(), [], []
    for path in paths:
        count = 0
        for members in read_members(path, (*(f"{name}.npy" for name in small), "json")):
            episode = decode_episode(members, small)
            count += 1
            lengths[len(episode["actions"])] += 1
            if ranges is not None:
                ranges.add(episode["actions"])
            if share_moving and "states" in small:
                states.append(episode["states"])
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        shards.append(Shard(path.name, count, digest))
    frames = sum(length * count for length, count in lengths.items())
    moving = share_moving(states) if share_moving and states else None
    return Split(lengths.total(), frames, dict(lengths), shapes, moving, shards)


def _step_shapes(members: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of one time step of each array; frames as [H, W, 3]."""
    episode = decode_episode(members)
    shapes = {n: a.shape[1:] for n, a in episode.items() if isinstance(a, np.ndarray)}
    if "frames" in shapes:
        channels, height, width = shapes["frames"]
        shapes["frames"] = (height, width, channels)
    return shapes


def fingerprint(hashes: Mapping[str, str]) -> str:
    """A hash over the names and hashes of files."""
    lines = [f"{name} {sha256}" for name, sha256 in hashes.items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
