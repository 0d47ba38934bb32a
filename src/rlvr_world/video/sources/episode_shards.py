"""Shards of episodes that come from a published data set."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlvr_world.data.samples import Sample, write_shard
from rlvr_world.video.sources.episodes import (
    BadEpisode,
    Episode,
    EpisodeReader,
    ImageFormat,
    frame_members,
)
from rlvr_world.video.sources.journal import Finished

TRIES = 100  # episodes that may be bad before the first good one


class Store(NamedTuple):
    """How episodes become samples.

    ``shapes`` are those of one time step of the first good episode, which all others must have.
    """

    image_format: ImageFormat
    image_size: tuple[int, int] | None
    shapes: dict[str, tuple[int, ...]] | None = None


def write_episodes(
    path: Path, reader: EpisodeReader, indices: Sequence[int], store: Store
) -> Finished:
    """Write the episodes with these numbers into one shard; bad ones are left out."""
    skipped: list[str] = []
    split = path.name.split("-")[0]

    def samples() -> Iterator[Sample]:
        for index in indices:
            try:
                yield f"{split}-{index:06d}", sample(reader.read(index), store)[0]
            except BadEpisode as error:
                skipped.append(f"{reader.where(index)}: {error}")

    write_shard(path, samples())
    episodes = len(indices) - len(skipped)
    if not episodes:
        path.unlink()
    return Finished(path.name, episodes, skipped)


def sample(episode: Episode, store: Store) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """The members of an episode's sample, and the shape of one time step of each array.

    Raises:
        BadEpisode: If frames, actions and states do not fit together, or to the other episodes.
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
        ValueError: If there is none among the first ones.
    """
    reasons = list(reader.problems)
    for index in range(min(len(reader), TRIES)):
        try:
            return sample(reader.read(index), store)[1]
        except BadEpisode as error:
            reasons.append(f"{reader.where(index)}: {error}")
    first = reasons[-1] if reasons else "it holds none"
    raise ValueError(f"{source}: no episode can be used: {first}")
