"""What a folder of episodes of video holds, in ``manifest.json`` beside its shards."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rlvr_world.data.manifest import SPLITS, ShardManifest, fingerprint
from rlvr_world.data.samples import read_members
from rlvr_world.files import sha256
from rlvr_world.video.data.action_ranges import ActionRanges
from rlvr_world.video.data.episodes import decode_episode

ShareMoving = Callable[[list[NDArray[np.float32]]], float | None]
"""Of the states [T, S] of each episode of a split: the share of clips in which something moves;
None if episodes are too short to tell."""


@dataclass
class Shard:
    """One tar file: its name, its episodes and the SHA-256 of its bytes."""

    name: str
    episodes: int
    sha256: str

    @property
    def samples(self) -> int:
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
class Manifest(ShardManifest):
    """A data set of episodes.

    ``actions`` holds the ``min``, ``max``, 1 % and 99 % quantile (``q01``, ``q99``) of each action
    dimension over the first split, as ``ActionRanges`` measures them. ``skipped`` counts the
    ``episodes`` of the source that could not be used, and holds the first ``reasons``.
    """

    splits: dict[str, Split]
    actions: dict[str, list[float]]
    skipped: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> Self:
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

        ``versions`` are those of the programs that made it with the ``settings``; ``splits`` are
        those that there may be.
        """
        described: dict[str, Split] = {}
        ranges = ActionRanges()
        for name in splits:
            paths = sorted(Path(root).glob(f"{name}-*.tar"))
            if paths:
                described[name] = _describe(paths, share_moving, None if described else ranges)
        if not described:
            raise FileNotFoundError(
                f"{root} holds no shards: tars, not packed, named like {splits[0]}-000000.tar"
            )
        shards = [shard for split in described.values() for shard in split.shards]
        return cls(
            source=source,
            settings=dict(settings),
            versions=dict(versions or {}),
            splits=described,
            fingerprint=fingerprint({shard.name: shard.sha256 for shard in shards}),
            actions=ranges.ranges(),
            skipped=dict(skipped or {}),
        )


def _describe(
    paths: list[Path], share_moving: ShareMoving | None, ranges: ActionRanges | None
) -> Split:
    """What the shards of a split hold; its actions are added to the ranges.

    Memory does not grow with the shards, except by states that ``share_moving`` needs.
    """
    shapes = _step_shapes(next(read_members(paths[0])))
    small = {name: shape for name, shape in shapes.items() if name in ("actions", "states")}
    lengths: Counter[int] = Counter()
    states, shards = [], []
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
        shards.append(Shard(path.name, count, sha256(path)))
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
