"""What folders of transitions in words hold, whether of text games or of web pages."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

from rlvr_world.data.manifest import ShardManifest


@dataclass
class TransitionShard:
    """One tar file of transitions.

    ``changed`` is the number of those in which something changes. Training shards hold only such
    transitions or none of them; shards to evaluate on hold both.
    """

    name: str
    transitions: int
    changed: int
    sha256: str

    @property
    def samples(self) -> int:
        """Each transition is a sample."""
        return self.transitions


@dataclass
class TransitionCounts:
    """What some transitions of a split are.

    ``verbs`` (the first word of the action) holds the numbers of all and of changed transitions,
    ``characters`` the median, the 90 % quantile and the maximum of the length of the state.
    """

    transitions: int
    changed: int
    verbs: dict[str, list[int]]
    characters: dict[str, int]


class TransitionSplit(Protocol):
    """The shards of one split, and what is in them."""

    shards: list[Any]

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> Self:
        """The split whose JSON was read."""


@dataclass
class TransitionManifest(ShardManifest):
    """A data set of transitions.

    ``rows`` says what became of the source's rows: how many were read, which were left out and why,
    and what two files of the source have in common.
    """

    rows: dict[str, Any]

    split: ClassVar[type[TransitionSplit]]

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> Self:
        """The manifest whose JSON was read."""
        splits = {name: cls.split.parse(split) for name, split in fields["splits"].items()}
        return cls(**fields | {"splits": splits})
