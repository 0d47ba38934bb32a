"""What a folder of transitions of text games holds."""

from dataclasses import dataclass
from typing import Any, Self

from rlvr_world.data.manifest import ShardManifest
from rlvr_world.states.text_game import Mode


@dataclass
class TextShard:
    """One tar file of transitions of one mode.

    ``changed`` is the number of those in which something changes. Training shards hold only such
    transitions or none of them; shards to evaluate on hold both.
    """

    name: str
    mode: Mode
    transitions: int
    changed: int
    sha256: str

    @property
    def samples(self) -> int:
        """Each transition is a sample."""
        return self.transitions


@dataclass
class TextCounts:
    """What the transitions of one mode of a split are.

    ``games`` and ``verbs`` (the first word of the action) hold the numbers of all and of changed
    transitions, ``characters`` the median, the 90 % quantile and the maximum of the length of the
    state's JSON.
    """

    transitions: int
    changed: int
    games: dict[str, list[int]]
    verbs: dict[str, list[int]]
    characters: dict[str, int]


@dataclass
class TextSplit:
    """The shards of one split and, by mode, what is in them."""

    shards: list[TextShard]
    modes: dict[Mode, TextCounts]


@dataclass
class TextManifest(ShardManifest):
    """A data set of transitions of text games.

    ``rows`` says what became of the source's rows: how many were read, which were left out and why,
    and what two files of the source have in common.
    """

    rows: dict[str, Any]

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> Self:
        """The manifest whose JSON was read."""
        splits = {
            name: TextSplit(
                [TextShard(**shard) for shard in split["shards"]],
                {mode: TextCounts(**counts) for mode, counts in split["modes"].items()},
            )
            for name, split in fields["splits"].items()
        }
        return cls(**fields | {"splits": splits})
