"""What a folder of shards holds, in ``manifest.json`` beside them."""

import hashlib
import json
import os
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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


@dataclass
class Split:
    """The shards of one split and what is in them; ``lengths`` counts episodes by frames."""

    episodes: int
    frames: int
    lengths: dict[int, int]
    share_moving: float | None
    shards: list[Shard]


@dataclass
class Manifest:
    """A data set: where it comes from, what its arrays look like, and its shards.

    ``shapes`` holds the shape of one time step by array name; ``actions`` the ``min``, ``max``,
    1 % and 99 % quantile (``q01``, ``q99``) of each action dimension over the training split;
    ``fingerprint`` is a hash over the hashes of all shards.
    """

    source: str
    settings: dict[str, Any]
    versions: dict[str, str]
    shapes: dict[str, tuple[int, ...]]
    actions: dict[str, list[float]]
    splits: dict[str, Split]
    fingerprint: str

    @classmethod
    def load(cls, root: str | Path) -> "Manifest":
        """Read the manifest of a folder.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If it is not a manifest.
        """
        path = Path(root) / "manifest.json"
        try:
            fields = json.loads(path.read_text())
            fields["shapes"] = {name: tuple(shape) for name, shape in fields["shapes"].items()}
            for split in fields["splits"].values():
                split["shards"] = [Shard(**shard) for shard in split["shards"]]
                split["lengths"] = {int(frames): n for frames, n in split["lengths"].items()}
            fields["splits"] = {name: Split(**split) for name, split in fields["splits"].items()}
            return cls(**fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is not a manifest that this version reads: {error}") from error

    def save(self, root: str | Path) -> None:
        """Write ``manifest.json`` into a folder, whole or not at all."""
        write_json(Path(root) / "manifest.json", asdict(self))

    @classmethod
    def build(
        cls,
        root: str | Path,
        source: str,
        settings: Mapping[str, Any],
        versions: Mapping[str, str] | None = None,
        share_moving: ShareMoving | None = None,
    ) -> "Manifest":
        """Read all shards ``{split}-*.tar`` of a folder and describe them.

        Args:
            root: The folder.
            source: What made the data.
            settings: What it was made with.
            versions: Versions of the programs that made it.
            share_moving: Takes a split's states, a list of [T, S], and returns the share of its
                clips in which something moves.
        """
        splits, shapes, actions = {}, {}, []
        for split in SPLITS:
            states, lengths, shards = [], Counter(), []
            for path in sorted(Path(root).glob(f"{split}-*.tar")):
                count = 0
                for members in read_members(path):
                    if not shapes:
                        shapes = _step_shapes(members)
                    wanted = {name: shape for name, shape in shapes.items() if name in ARRAYS}
                    episode = decode_episode(members, wanted)
                    lengths[len(episode["actions"])] += 1
                    if split == "train" or "train" not in splits:
                        actions.append(episode["actions"])
                    if "states" in episode:
                        states.append(episode["states"])
                    count += 1
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                shards.append(Shard(path.name, count, digest))
            if shards:
                frames = sum(length * n for length, n in lengths.items())
                share = share_moving(states) if share_moving and states else None
                splits[split] = Split(lengths.total(), frames, dict(lengths), share, shards)
        return cls(
            source,
            dict(settings),
            dict(versions or {}),
            shapes,
            _ranges(np.concatenate(actions)),
            splits,
            _fingerprint(splits),
        )


ARRAYS = ("actions", "states")  # the small ones, which the statistics need


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


def _fingerprint(splits: Mapping[str, Split]) -> str:
    """A hash over the names and hashes of all shards."""
    lines = [f"{shard.name} {shard.sha256}" for s in splits.values() for shard in s.shards]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
