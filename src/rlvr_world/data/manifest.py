"""What a folder of shards holds, in ``manifest.json`` beside them."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from rlvr_world.files import read_json, write_json

SPLITS = ("train", "val", "test")


@dataclass
class ShardManifest(ABC):
    """A data set of any kind: where it comes from, and what is in its shards.

    A split has ``shards``, and each of them a ``name``, its number of ``samples`` and the
    ``sha256`` of its bytes; ``fingerprint`` is a hash over the hashes of all shards.
    """

    source: str
    settings: dict[str, Any]
    versions: dict[str, str]
    splits: dict[str, Any]
    fingerprint: str

    @classmethod
    @abstractmethod
    def parse(cls, fields: dict[str, Any]) -> Self:
        """The manifest whose JSON was read."""

    @classmethod
    def load(cls, root: str | Path, made_by: str = "rlvr-world data") -> Self:
        """Read the manifest of a folder.

        Args:
            root: The folder.
            made_by: The command that makes such data, for the error message.

        Raises:
            FileNotFoundError: There is none; the text says which command makes it.
            ValueError: It is not a manifest.
        """
        path = Path(root) / "manifest.json"
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist: make the data with `{made_by}`")
        try:
            return cls.parse(read_json(path))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is not a manifest of shards: {error}") from error

    def save(self, root: str | Path) -> None:
        """Write ``manifest.json`` into a folder, whole or not at all."""
        write_json(Path(root) / "manifest.json", asdict(self))


def fingerprint(hashes: Mapping[str, str]) -> str:
    """A hash over the names and hashes of files."""
    lines = [f"{name} {sha256}" for name, sha256 in hashes.items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
