"""Several folders of shards as one data set."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rlvr_world.data.manifest import Manifest, fingerprint
from rlvr_world.data.stream import ShardFile


@dataclass
class Mix:
    """Folders of shards whose arrays have the same shapes.

    Args:
        roots: The folders.
        made_by: The command that makes such a folder, for error messages.
    """

    roots: Sequence[Path]
    made_by: str

    @cached_property
    def manifests(self) -> list[Manifest]:
        """What each folder holds.

        Raises:
            FileNotFoundError: One of them is not there.
        """
        return [Manifest.load(root, self.made_by.format(root=root)) for root in self.roots]

    @property
    def fingerprint(self) -> str:
        """Identifies the data of all folders; that of the only one as it is."""
        prints = {str(n): manifest.fingerprint for n, manifest in enumerate(self.manifests)}
        return fingerprint(prints) if len(prints) > 1 else prints["0"]

    def shards(self, split: str) -> list[list[ShardFile]]:
        """The shards of a split in each folder; none in a folder without such a split."""
        found = [manifest.splits.get(split) for manifest in self.manifests]
        return [
            [ShardFile(root / shard.name, shard.samples) for shard in part.shards] if part else []
            for root, part in zip(self.roots, found, strict=True)
        ]

    def shapes(self, split: str) -> dict[str, tuple[int, ...]]:
        """The shape of one time step of each array in a split that some folder has."""
        return next(m.splits[split].shapes for m in self.manifests if split in m.splits)

    def lengths(self, split: str) -> dict[int, int]:
        """How many samples of a split have how many frames."""
        found = [manifest.splits.get(split) for manifest in self.manifests]
        return dict(sum((Counter(part.lengths) for part in found if part), Counter()))

    def check(self) -> None:
        """Raise ``ValueError`` unless the arrays of all folders have the same shapes."""
        first, *others = self.manifests
        for root, manifest in zip(self.roots[1:], others, strict=True):
            for name in first.splits.keys() & manifest.splits.keys():
                here, there = first.splits[name].shapes, manifest.splits[name].shapes
                for key in here | there:
                    if here.get(key) != there.get(key):
                        raise ValueError(
                            f"{root} cannot be mixed with {self.roots[0]}: a step of its {key} in "
                            f"{name} has the shape {there.get(key)}, not {here.get(key)}"
                        )
