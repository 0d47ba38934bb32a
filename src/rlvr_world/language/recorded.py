"""Transitions in words, of text games or of web pages, on their way into shards."""

import hashlib
import json
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

from rlvr_world.data.samples import Sample, write_shard
from rlvr_world.language.layouts import Layout

E = TypeVar("E")

SPLITS = ("train", "val", "test", "test_verbs", "test_tasks", "test_pages")
SHARD = 1000  # transitions per shard, at most


class Entry(NamedTuple):
    """A transition in a spool. Entries of the same ``unit`` belong into the same split."""

    unit: str
    group: str
    subject: str
    verb: str
    changed: bool
    characters: int
    start: int
    size: int


class TransitionSpool:
    """Unique transitions, on disk in the order in which they came.

    Two are the same if group, subject, action and beginning are. ``duplicates`` counts those that
    came again, ``conflicts`` those of them that had another end; the first one is kept.

    Args:
        file: Empty and open for writing and reading bytes.
        layout: What kind of transitions they are: ``GAMES`` or ``PAGES``.
    """

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        self.file = file
        self.layout = layout
        self.entries: list[Entry] = []
        self.ends: dict[bytes, bytes] = {}
        self.duplicates = self.conflicts = 0

    def add(self, transition: Any, unit: str, scope: str = "") -> None:
        """Keep a transition unless it came before within the scope."""
        traits = self.layout.traits(transition)
        key, end = digest(scope, *traits[:-1]), digest(traits.after)
        if key in self.ends:
            self.duplicates += 1
            self.conflicts += self.ends[key] != end
            return
        self.ends[key] = end
        line = json.dumps(transition.to_json()).encode()
        self.entries.append(
            Entry(
                unit=unit,
                group=traits.group,
                subject=traits.subject,
                verb=traits.action.partition(" ")[0],
                changed=transition.changed,
                characters=len(traits.before),
                start=self.file.tell(),
                size=len(line),
            )
        )
        self.file.write(line)

    def read(self, entry: Entry) -> dict[str, Any]:
        """The document of a transition."""
        self.file.seek(entry.start)
        return json.loads(self.file.read(entry.size))


def digest(*texts: str) -> bytes:
    """A short hash of some texts."""
    return hashlib.blake2b(json.dumps(texts).encode(), digest_size=16).digest()


def write_splits(
    folder: Path, spool: TransitionSpool, split_of: Callable[[Entry], str], seed: int
) -> dict[str, Any]:
    """Write the shards of all splits, each in a random order, and describe them.

    Args:
        folder: Where the shards go.
        spool: The transitions.
        split_of: The split of an entry.
        seed: Where the order comes from.
    """
    layout, splits = spool.layout, {}
    for split, members in sorted_groups(spool.entries, split_of, SPLITS.index):
        groups = dict(sorted_groups(members, attrgetter("group")))
        shards = []
        for group, entries in groups.items() if layout.by_group else [("", members)]:
            name = f"{split}-{group}".removesuffix("-")
            kinds = {name: entries}
            if split == "train":
                kinds = {
                    f"{name}-changed": [entry for entry in entries if entry.changed],
                    f"{name}-unchanged": [entry for entry in entries if not entry.changed],
                }
            for kind, chosen in kinds.items():
                random.Random(f"{seed} {kind}").shuffle(chosen)
                shards += _write_shards(folder, kind, chosen, spool, group)
        counts = {group: count(entries, layout) for group, entries in groups.items()}
        splits[split] = layout.split(shards, counts)
    return splits


def sorted_groups(
    members: Iterable[E],
    key: Callable[[E], Hashable],
    order: Callable[[Any], Any] = lambda group: group,
) -> list[tuple[Any, list[E]]]:
    """Groups of members with the same key, in the order of their keys."""
    groups: dict[Hashable, list[E]] = defaultdict(list)
    for member in members:
        groups[key(member)].append(member)
    return sorted(groups.items(), key=lambda group: order(group[0]))


def _write_shards(
    folder: Path, name: str, entries: Sequence[Entry], spool: TransitionSpool, group: str
) -> list[Any]:
    """Write entries to as few shards as hold them, all about equally large."""
    shards = []
    pieces = -(-len(entries) // SHARD)
    for piece in range(pieces):
        indices = range(len(entries) * piece // pieces, len(entries) * (piece + 1) // pieces)
        path = folder / f"{name}-{piece:06d}.tar"
        write_shard(path, (_sample(name, index, spool.read(entries[index])) for index in indices))
        members = [entries[index] for index in indices]
        fields = {
            "name": path.name,
            "transitions": len(members),
            "changed": sum(entry.changed for entry in members),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        shards.append(spool.layout.shard(group, **fields))
    return shards


def _sample(name: str, index: int, document: dict[str, Any]) -> Sample:
    return f"{name}-{index:06d}", {"json": document}


def count(entries: Sequence[Entry], layout: Layout) -> Any:
    """What the entries of one group of a split are."""
    lengths = sorted(entry.characters for entry in entries)
    return layout.counts(
        _shares(entries, attrgetter("subject")),
        transitions=len(entries),
        changed=sum(entry.changed for entry in entries),
        verbs=_shares([entry for entry in entries if entry.verb], attrgetter("verb")),
        characters={
            "median": int(statistics.median(lengths)),
            "q90": lengths[len(lengths) * 9 // 10],
            "max": lengths[-1],
        },
    )


def _shares(entries: Sequence[Entry], key: Callable[[Entry], str]) -> dict[str, list[int]]:
    """The numbers of all and of changed entries by key."""
    return {
        name: [len(found), sum(entry.changed for entry in found)]
        for name, found in sorted_groups(entries, key)
    }
