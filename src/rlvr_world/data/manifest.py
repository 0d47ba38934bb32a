"""What a folder of shards holds, in ``manifest.json`` beside them."""

import hashlib
import json
import os
import tarfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

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
    dimension over the first split.
    """

    actions: dict[str, list[float]]

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
    ) -> Self:
        """Read all shards ``{split}-*.tar`` of a folder and describe them.

        Args:
            root: The folder.
            source: What made the data.
            settings: What it was made with.
            versions: Versions of the programs that made it.
            share_moving: Takes a split's states, a list of [T, S], and returns the share of its
                clips in which something moves.
        """
        splits, actions = {}, []
        for name in SPLITS:
            paths = sorted(Path(root).glob(f"{name}-*.tar"))
            if not paths:
                continue
            split, arrays = _describe(paths)
            if share_moving and "states" in split.shapes:
                split.share_moving = share_moving([episode["states"] for episode in arrays])
            splits[name] = split
            actions = actions or [episode["actions"] for episode in arrays]
        if not splits:
            raise FileNotFoundError(f"{root} holds no shards")
        shards = [shard for split in splits.values() for shard in split.shards]
        return cls(
            source=source,
            settings=dict(settings),
            versions=dict(versions or {}),
            splits=splits,
            fingerprint=fingerprint({shard.name: shard.sha256 for shard in shards}),
            actions=_ranges(np.concatenate(actions)),
        )


def read_members(path: Path) -> Iterator[dict[str, Any]]:
    """The raw samples of a sound shard, as WebDataset would group them."""
    sample: dict[str, Any] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, extension = member.name.split(".", 1)
            if sample and sample["__key__"] != key:
                yield sample
                sample = {}
            content = tar.extractfile(member)
            sample |= {"__key__": key, "__url__": str(path), extension: content and content.read()}
    if sample:
        yield sample


def write_json(path: Path, value: Any) -> None:
    """Write plain data as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
    os.replace(unfinished, path)


def _describe(paths: list[Path]) -> tuple[Split, list[dict[str, Any]]]:
    """What the shards of a split hold, and the actions and states of each episode."""
    shapes = _step_shapes(next(read_members(paths[0])))
    small = {name: shape for name, shape in shapes.items() if name in ("actions", "states")}
    episodes, shards = [], []
    for path in paths:
        found = [decode_episode(members, small) for members in read_members(path)]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        shards.append(Shard(path.name, len(found), digest))
        episodes += found
    lengths = Counter(len(episode["actions"]) for episode in episodes)
    frames = sum(length * count for length, count in lengths.items())
    return Split(len(episodes), frames, dict(lengths), shapes, None, shards), episodes


def _step_shapes(members: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of one time step of each array; frames as [H, W, 3]."""
    episode = decode_episode(members)
    shapes = {n: a.shape[1:] for n, a in episode.items() if isinstance(a, np.ndarray)}
    if "frames" in shapes:
        channels, height, width = shapes["frames"]
        shapes["frames"] = (height, width, channels)
    return shapes


def _ranges(actions: NDArray[np.float32]) -> dict[str, list[float]]:
    """Extremes and quantiles of each column of actions [F, A]."""
    low, high = np.quantile(actions, (0.01, 0.99), axis=0)
    rows = {"min": actions.min(0), "max": actions.max(0), "q01": low, "q99": high}
    return {name: [float(x) for x in row] for name, row in rows.items()}


def fingerprint(hashes: Mapping[str, str]) -> str:
    """A hash over the names and hashes of files."""
    lines = [f"{name} {sha256}" for name, sha256 in hashes.items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
