"""Shards of episodes that come from a published data set."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlvr_world.data.samples import Sample, write_shard
from rlvr_world.files import write_json
from rlvr_world.video.sources.episodes import (
    BadEpisode,
    Episode,
    EpisodeReader,
    ImageFormat,
    frame_members,
)

Indices = NDArray[np.int64]
TRIES = 100  # episodes that may be bad before the first good one


class Store(NamedTuple):
    """How episodes become samples.

    ``shapes`` are those of one time step of the first good episode, which all others must have.
    """

    image_format: ImageFormat
    image_size: tuple[int, int] | None
    shapes: dict[str, tuple[int, ...]] | None = None


def write_episodes(path: Path, reader: EpisodeReader, indices: Indices, store: Store) -> int:
    """Write the episodes with these numbers into one shard, and return how many they are.

    Bad ones are left out; why is in the shard's ``skips_file``, which is written last. A shard
    without good ones has no tar.
    """
    skipped: list[str] = []
    split = path.name.split("-")[0]

    def samples() -> Iterator[Sample]:
        for index in map(int, indices):
            try:
                yield f"{split}-{index:06d}", sample(reader.read(index), store)[0]
            except BadEpisode as error:
                skipped.append(f"{reader.where(index)}: {error}")

    write_shard(path, samples())
    if len(skipped) == len(indices):
        path.unlink()
    write_json(skips_file(path), skipped)
    return len(indices)


def skips_file(path: Path) -> Path:
    """Beside a finished shard, until there is a manifest: why which episodes were left out."""
    return path.with_suffix(".skips.json")


def sample(episode: Episode, store: Store) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """The members of an episode's sample, and the shape of one time step of each array.

    Raises:
        BadEpisode: Frames, actions and states do not fit together, or not to the other episodes.
    """
    frames, frame_shape = frame_members(episode.frames, store.image_format, store.image_size)
    members: dict[str, Any] = {"actions.npy": episode.actions, "json": dict(episode.info)}
    shapes = {"frames": frame_shape, "actions": episode.actions.shape[1:]}
    if episode.states is not None:
        members["states.npy"] = episode.states
        shapes["states"] = episode.states.shape[1:]
    for name in ("actions", "states"):
        array = members.get(f"{name}.npy")
        if array is not None and len(array) != len(episode.frames):
            raise BadEpisode(f"it has {len(episode.frames)} frames and {len(array)} {name}")
        if array is not None and not np.isfinite(array).all():
            raise BadEpisode(f"its {name} hold NaN or infinite values")
    if store.shapes is not None and shapes != store.shapes:
        raise BadEpisode(f"its steps have shapes {shapes}, those of others {store.shapes}")
    return members | frames, shapes


def first_shapes(reader: EpisodeReader, store: Store, source: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the first good episode.

    Raises:
        ValueError: There is none among the first ones.
    """
    reasons = list(reader.problems)
    for index in range(min(len(reader), TRIES)):
        try:
            return sample(reader.read(index), store)[1]
        except BadEpisode as error:
            reasons.append(f"{reader.where(index)}: {error}")
    first = reasons[-1] if reasons else "it holds none"
    raise ValueError(f"{source}: no episode can be used: {first}")
