"""Transitions in words, of text games or of web pages, from their source to shards."""

import hashlib
import json
import random
import statistics
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, NamedTuple, TypeVar

from rlvr_world.data.manifest import fingerprint
from rlvr_world.data.samples import BadSample, Read, Skips, write_shard
from rlvr_world.files import sha256, whole, write_text
from rlvr_world.language.manifest import (
    TransitionCounts,
    TransitionManifest,
    TransitionShard,
    TransitionSplit,
)
from rlvr_world.language.transition import TextTransition

E = TypeVar("E")
R = TypeVar("R")

SPLITS = ("train", "val", "test", "test_verbs", "test_tasks", "test_pages")
SHARD = 1000  # transitions per shard, at most
CHECK_EVERY = 1000  # rows between two looks at the share of broken ones


def sound_rows(
    path: Path,
    rows: Iterable[Any],
    parse: Callable[[Any, str], R],
    noun: str,
    max_skip_share: float,
    counts: Counter[str],
) -> Iterator[R]:
    """What the rows of a file say; those that cannot be read are counted and reported.

    ``parse`` gets a row and its name in messages, of which ``noun`` (``line`` or ``row``) is a
    word, and raises ``BadSample``. ``counts`` gets the numbers of rows read and of broken ones. A
    larger share of broken rows than ``max_skip_share`` is a ``ValueError``.
    """
    skips = Skips(str(path), 0, max_skip_share)
    for number, row in enumerate(rows, 1):
        try:
            parsed = parse(row, f"{path} {noun} {number}")
            skips.add(Read(1))
            yield parsed
        except BadSample as error:
            skips.add(Read(1, str(error)))
        if number % CHECK_EVERY == 0:
            _check(skips)
    _check(skips)
    if skips.skipped:
        warnings.warn(str(skips), stacklevel=2)
    counts[f"{path.name.split('.')[0]}_{noun}s"] += skips.read
    counts[f"broken_{noun}s"] += skips.skipped


def _check(skips: Skips) -> None:
    if skips.too_many:
        raise ValueError(f"{skips} (max_skip_share is {skips.max_share:g})")


class Entry(NamedTuple):
    """A transition in a spool. Entries of the same ``unit`` belong into the same split."""

    unit: str
    group: str
    shards: str
    subject: str
    verb: str
    changed: bool
    characters: int
    start: int
    size: int


@contextmanager
def recording(root: Path) -> Iterator["TransitionSpool"]:
    """A spool whose folder becomes ``root`` at the end, and vanishes on an error."""
    with whole(root) as folder:
        folder.mkdir()
        with TemporaryFile(dir=folder) as file:
            yield TransitionSpool(folder, file)


class TransitionSpool:
    """Unique transitions, on disk in the order in which they came, until their splits are known.

    Two are the same if group, subject, action and state are. ``duplicates`` counts those that came
    again, ``conflicts`` those of them that had another next state; the first one is kept.
    """

    def __init__(self, folder: Path, file: BinaryIO) -> None:
        self.folder = folder
        self.file = file
        self.entries: list[Entry] = []
        self.ends: dict[bytes, bytes] = {}
        self.duplicates = self.conflicts = 0

    def add(self, transition: TextTransition, unit: str, scope: str = "") -> None:
        group, subject, action, before, after, shards = transition.traits()
        key, end = digest(scope, group, subject, action, before), digest(after)
        if key in self.ends:
            self.duplicates += 1
            self.conflicts += self.ends[key] != end
            return
        self.ends[key] = end
        line = json.dumps(transition.to_json()).encode()
        verb, start = action.partition(" ")[0], self.file.tell()
        self.entries.append(
            Entry(unit, group, shards, subject, verb, transition.changed, len(before), start,
                  len(line))
        )  # fmt: skip
        self.file.write(line)

    def read(self, entry: Entry) -> dict[str, Any]:
        self.file.seek(entry.start)
        return json.loads(self.file.read(entry.size))

    def finish(
        self,
        split_of: Callable[[Entry], str],
        seed: int,
        *,
        source: str,
        settings: Mapping[str, Any],
        rows: Mapping[str, Any],
        versions: Mapping[str, str] | None = None,
        documents: Mapping[str, Any] | None = None,
    ) -> TransitionManifest:
        """Write the shards of all splits, each in a random order, and the manifest.

        ``rows`` says what became of the source's rows; duplicates and conflicts are added.
        ``documents`` are further JSON files by name, which count in the fingerprint.
        """
        splits = {
            split: self._write_split(split, members, seed)
            for split, members in sorted_groups(self.entries, split_of, SPLITS.index)
        }
        hashes = {s.name: s.sha256 for split in splits.values() for s in split.shards}
        for name, document in (documents or {}).items():
            text = json.dumps(document, indent=1, sort_keys=True) + "\n"
            write_text(self.folder / name, text)
            hashes[name] = sha256(self.folder / name)
        manifest = TransitionManifest(
            source=source,
            settings=dict(settings),
            versions=dict(versions or {}),
            splits=splits,
            fingerprint=fingerprint(hashes),
            rows={**rows, "duplicates": self.duplicates, "conflicts": self.conflicts},
        )
        manifest.save(self.folder)
        return manifest

    def _write_split(self, split: str, members: list[Entry], seed: int) -> TransitionSplit:
        shards: list[TransitionShard] = []
        for group, entries in sorted_groups(members, attrgetter("shards")):
            name = f"{split}-{group}".removesuffix("-")
            kinds = {name: entries}
            if split == "train":
                kinds = {
                    f"{name}-changed": [entry for entry in entries if entry.changed],
                    f"{name}-unchanged": [entry for entry in entries if not entry.changed],
                }
            for kind, chosen in kinds.items():
                random.Random(f"{seed} {kind}").shuffle(chosen)
                shards += self._write_shards(kind, chosen, group)
        groups = sorted_groups(members, attrgetter("group"))
        return TransitionSplit(shards, {group: counts(entries) for group, entries in groups})

    def _write_shards(
        self, name: str, entries: Sequence[Entry], group: str
    ) -> Iterator[TransitionShard]:
        pieces = -(-len(entries) // SHARD)
        for piece in range(pieces):
            first, end = (len(entries) * n // pieces for n in (piece, piece + 1))
            path, members = self.folder / f"{name}-{piece:06d}.tar", entries[first:end]
            numbered = enumerate(members, first)
            write_shard(path, ((f"{name}-{n:06d}", {"json": self.read(e)}) for n, e in numbered))
            changed = sum(entry.changed for entry in members)
            yield TransitionShard(path.name, len(members), changed, sha256(path), group)


def digest(*texts: str) -> bytes:
    """A short hash of some texts."""
    return hashlib.blake2b(json.dumps(texts).encode(), digest_size=16).digest()


def sorted_groups(
    members: Iterable[E],
    key: Callable[[E], str],
    order: Callable[[str], Any] = str,
) -> list[tuple[str, list[E]]]:
    """Groups of members with the same key, in the order of their keys."""
    groups: dict[str, list[E]] = defaultdict(list)
    for member in members:
        groups[key(member)].append(member)
    return sorted(groups.items(), key=lambda group: order(group[0]))


def counts(entries: Sequence[Entry]) -> TransitionCounts:
    """What the entries of one group of a split are."""
    lengths = sorted(entry.characters for entry in entries)
    return TransitionCounts(
        transitions=len(entries),
        changed=sum(entry.changed for entry in entries),
        subjects=_shares(entries, attrgetter("subject")),
        verbs=_shares([entry for entry in entries if entry.verb], attrgetter("verb")),
        characters={
            "median": int(statistics.median(lengths)),
            "q90": lengths[len(lengths) * 9 // 10],
            "max": lengths[-1],
        },
    )


def _shares(entries: Iterable[Entry], key: Callable[[Entry], str]) -> dict[str, list[int]]:
    return {
        name: [len(members), sum(entry.changed for entry in members)]
        for name, members in sorted_groups(entries, key)
    }
