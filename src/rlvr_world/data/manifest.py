"""What a folder of shards holds, in ``manifest.json`` beside them."""

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

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
            manifest = cls.parse(read_json(path))
            check_type(manifest, cls, "it")
            for split in manifest.splits.values():
                for shard in split.shards:
                    check_shard(shard)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path} is not a manifest of shards as `{made_by}` writes it: {error}"
            ) from error
        return manifest

    def save(self, root: str | Path) -> None:
        """Write ``manifest.json`` into a folder, whole or not at all."""
        write_json(Path(root) / "manifest.json", asdict(self))


def fingerprint(hashes: Mapping[str, str]) -> str:
    """A hash over the names and hashes of files."""
    lines = [f"{name} {sha256}" for name, sha256 in hashes.items()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def check_shard(shard: Any) -> None:
    """Raise ``ValueError`` unless a shard has samples and the name of a file in its folder."""
    if not re.fullmatch(r"\w[^/\\\x00-\x1f]{0,254}", shard.name):
        raise ValueError(f"{shard.name[:200]!a} is no name of a shard")
    if shard.samples < 1:
        raise ValueError(f"{shard.name} has {shard.samples} samples")


def check_type(value: Any, hint: Any, name: str) -> None:
    """Raise ``TypeError`` unless a value is of a type, all that it holds included."""
    origin, of = get_origin(hint), get_args(hint)
    items: list[tuple[Any, Any, str]] = []
    if origin is UnionType:
        sound = any(_fits(value, kind) for kind in of)
    elif isinstance(hint, type) and is_dataclass(hint):
        sound = isinstance(value, hint)
        items = [(getattr(value, n), h, f"{name}.{n}") for n, h in get_type_hints(hint).items()]
    elif origin is dict:
        sound = isinstance(value, dict)
        for key, item in value.items() if sound else ():
            items += [(key, of[0], f"a key of {name}"), (item, of[1], f"{name}[{key!r}]")]
    elif origin in (list, tuple):
        sound = isinstance(value, origin)
        items = [(item, of[0], f"{name}[{n}]") for n, item in enumerate(value if sound else ())]
    else:
        sound = _fits(value, hint)
    if not sound:
        raise TypeError(f"{name} is {str(value)[:100]!r}, not of type {hint}")
    for item in items:
        check_type(*item)


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a type without parts; a whole number is a float, too."""
    if kind is Any or isinstance(value, bool):
        return kind in (Any, bool)
    return isinstance(value, (int, float) if kind is float else kind)
