"""What a folder of transitions of text games holds."""

from dataclasses import dataclass
from typing import Any, Self

from rlvr_world.language.manifest import (
    TransitionCounts,
    TransitionManifest,
    TransitionShard,
)
from rlvr_world.text_game.transition import Mode


@dataclass
class TextShard(TransitionShard):
    """One tar file of transitions of one mode."""

    mode: Mode


@dataclass
class TextCounts(TransitionCounts):
    """What the transitions of one mode of a split are.

    ``games`` holds the numbers of all and of changed transitions, ``characters`` the lengths of the
    states' JSON.
    """

    games: dict[str, list[int]]


@dataclass
class TextSplit:
    """The shards of one split and, by mode, what is in them."""

    shards: list[TextShard]
    modes: dict[Mode, TextCounts]

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> Self:
        """The split whose JSON was read."""
        return cls(
            [TextShard(**shard) for shard in fields["shards"]],
            {mode: TextCounts(**counts) for mode, counts in fields["modes"].items()},
        )


@dataclass
class TextManifest(TransitionManifest):
    """A data set of transitions of text games."""

    split = TextSplit
