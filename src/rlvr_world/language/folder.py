"""A folder of transitions in words, from the shards to the manifest."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from rlvr_world.data.manifest import fingerprint
from rlvr_world.files import write_text
from rlvr_world.language.manifest import TransitionManifest, TransitionSplit
from rlvr_world.text_game.manifest import TextManifest
from rlvr_world.web.manifest import WebManifest

M = TypeVar("M", bound=TransitionManifest)


def finished(
    root: Path, source: str, settings: Mapping[str, Any], kind: type[M] = TextManifest
) -> M | None:
    """The manifest of a folder that was made with the same settings; None if it is empty.

    Args:
        root: The folder.
        source: What would make the data.
        settings: What it would be made with.
        kind: The kind of manifest.

    Raises:
        ValueError: If the folder holds anything else.
    """
    if not root.exists() or not any(root.iterdir()):
        return None
    if not (root / "manifest.json").exists():
        raise ValueError(f"{root} holds files but no manifest.json: use another root")
    manifest = kind.load(root)
    there = {"source": manifest.source} | manifest.settings
    wanted = {"source": source} | json.loads(json.dumps(settings))
    for key in wanted | there:
        if wanted.get(key) != there.get(key):
            raise ValueError(
                f"{root} was made with {key} {there.get(key)}, not {wanted.get(key)}: use another "
                "root, or delete the folder"
            )
    return manifest


@contextmanager
def whole_folder(root: Path) -> Iterator[Path]:
    """A folder beside ``root`` that takes its place at the end, and vanishes on an error."""
    unfinished = root.with_name(root.name + ".tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        unfinished.replace(root)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def describe(folder: Path, rules: Mapping[str, Mapping[str, str]], **fields: Any) -> TextManifest:
    """Write ``rules.json`` and ``manifest.json`` beside finished shards.

    Args:
        folder: The folder of the shards.
        rules: By game: its ``objects``, ``actions`` and ``score`` rules in words.
        **fields: All fields of ``TextManifest`` but the fingerprint, in which the rules count.
    """
    path = folder / "rules.json"
    write_text(path, json.dumps(rules, indent=1, sort_keys=True) + "\n")
    hashes = shard_hashes(fields["splits"])
    hashes[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest = TextManifest(fingerprint=fingerprint(hashes), **fields)
    manifest.save(folder)
    return manifest


def describe_pages(folder: Path, **fields: Any) -> WebManifest:
    """Write ``manifest.json`` beside finished shards of web pages.

    Args:
        folder: The folder of the shards.
        **fields: All fields of ``WebManifest`` but the fingerprint.
    """
    manifest = WebManifest(fingerprint=fingerprint(shard_hashes(fields["splits"])), **fields)
    manifest.save(folder)
    return manifest


def shard_hashes(splits: Mapping[str, TransitionSplit]) -> dict[str, str]:
    """The hash of each shard of some splits by name."""
    return {shard.name: shard.sha256 for split in splits.values() for shard in split.shards}
