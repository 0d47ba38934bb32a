"""What a folder of transitions of web pages holds."""

from dataclasses import dataclass
from typing import Any, Self

from rlvr_world.language.manifest import (
    TransitionCounts,
    TransitionManifest,
    TransitionShard,
)


@dataclass
class WebCounts(TransitionCounts):
    """What the transitions of one site of a split are.

    ``tasks`` holds the numbers of all and of changed transitions, ``characters`` the lengths of
    addresses, objectives and trees together.
    """

    tasks: dict[str, list[int]]


@dataclass
class WebSplit:
    """The shards of one split, which hold all sites, and what is in them by site."""

    shards: list[TransitionShard]
    sites: dict[str, WebCounts]

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> Self:
        """The split whose JSON was read."""
        return cls(
            [TransitionShard(**shard) for shard in fields["shards"]],
            {site: WebCounts(**counts) for site, counts in fields["sites"].items()},
        )


@dataclass
class WebManifest(TransitionManifest):
    """A data set of transitions of web pages."""

    split = WebSplit
