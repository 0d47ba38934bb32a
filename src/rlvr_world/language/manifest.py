"""What a folder of transitions in words holds, whether of text games or of web pages."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rlvr_world.data.manifest import ShardManifest
from rlvr_world.files import check_settings

EARLIER = {
    "mode": "group", "modes": "groups", "sites": "groups", "games": "subjects", "tasks": "subjects",
}  # fmt: skip
"""The keys of folders that were made when text games and pages had manifests of their own."""


@dataclass
class TransitionShard:
    """One tar file of transitions.

    ``changed`` is the number of those in which something changes. Training shards hold only such
    transitions or none of them; shards to evaluate on hold both. ``group`` is the mode of a text
    game; it is empty for pages, whose shards hold all sites.
    """

    name: str
    transitions: int
    changed: int
    sha256: str
    group: str = ""

    @property
    def samples(self) -> int:
        return self.transitions


@dataclass
class TransitionCounts:
    """What some transitions of a split are.

    ``subjects`` (games, or the tasks of pages) and ``verbs`` (the first words of actions) hold the
    numbers of all and of changed transitions, ``characters`` the median, the 90 % quantile and the
    maximum of the length of the state.
    """

    transitions: int
    changed: int
    subjects: dict[str, list[int]]
    verbs: dict[str, list[int]]
    characters: dict[str, int]


@dataclass
class TransitionSplit:
    """The shards of one split and, by mode or site, what is in them."""

    shards: list[TransitionShard]
    groups: dict[str, TransitionCounts]

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> Self:
        fields = _renamed(fields)
        return cls(
            [TransitionShard(**_renamed(shard)) for shard in fields["shards"]],
            {name: TransitionCounts(**_renamed(of)) for name, of in fields["groups"].items()},
        )


@dataclass
class TransitionManifest(ShardManifest):
    """A data set of transitions.

    ``rows`` says what became of the source's rows: how many were read, which were left out and why,
    and what two files of the source have in common.
    """

    rows: dict[str, Any]

    @classmethod
    def parse(cls, fields: dict[str, Any]) -> Self:
        splits = {name: TransitionSplit.parse(split) for name, split in fields["splits"].items()}
        return cls(**fields | {"splits": splits})

    @classmethod
    def finished(cls, root: Path, source: str, settings: Mapping[str, Any]) -> Self | None:
        """The manifest of a folder that was made with the same settings; None if it is empty."""
        if not root.exists() or not any(root.iterdir()):
            return None
        if not (root / "manifest.json").exists():
            raise ValueError(f"{root} holds files but no manifest.json: use another folder")
        manifest = cls.load(root)
        wanted = {"source": source} | json.loads(json.dumps(settings))
        check_settings(root, {"source": manifest.source} | manifest.settings, wanted)
        return manifest


def _renamed(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {EARLIER.get(key, key): value for key, value in fields.items()}
