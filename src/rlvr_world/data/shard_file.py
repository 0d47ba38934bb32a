"""Shards, and which of their samples are asked for."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rlvr_world.data.remote import Origin
from rlvr_world.data.samples import BadSample, RawSample, read_members


class ShardFile(NamedTuple):
    """A shard, how many samples its manifest promises, and whence it comes if it is not there."""

    path: Path
    samples: int
    origin: Origin | None = None

    def __str__(self) -> str:
        return self.origin.url if self.origin else str(self.path)


def read_shard(shard: ShardFile) -> Iterator[RawSample]:
    """The raw samples of one shard, which is downloaded first if it is to be.

    Raises:
        BadSample: Where the shard cannot be read any further.
    """
    try:
        if shard.origin:
            shard.origin.bring(shard.path)
        try:
            yield from read_members(shard.path, url=str(shard))
        except FileNotFoundError:  # another process has just made room
            if shard.origin is None:
                raise
            shard.origin.bring(shard.path)
            yield from read_members(shard.path, url=str(shard))
    except OSError as error:
        raise BadSample(f"{shard} cannot be read to its end ({error})") from error


class Part(NamedTuple):
    """A share of the samples, which their keys choose: the same whatever the order or the shards.

    Parts that do not overlap, (0, 0.8) and (0.8, 1), have no sample in common.
    """

    low: float = 0.0
    high: float = 1.0

    def holds(self, key: str) -> bool:
        """Whether the sample of this key is of this part."""
        digest = hashlib.sha256(key.encode()).digest()
        return self.low <= int.from_bytes(digest[:6]) / 2**48 < self.high


ALL = Part()
"""Every sample."""
