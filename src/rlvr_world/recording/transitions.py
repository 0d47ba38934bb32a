"""Transitions of text games on their way into shards."""

import hashlib
import json
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from rlvr_world.data.samples import Sample, write_shard
from rlvr_world.data.text_manifest import TextCounts, TextShard, TextSplit
from rlvr_world.states.game_state import GameState
from rlvr_world.states.text_game import Mode, Transition

SPLITS = ("train", "val", "test", "test_verbs")
SHARD = 1000  # transitions per shard, at most


class Entry(NamedTuple):
    """A transition in a spool. Entries of the same ``unit`` belong into the same split."""

    unit: str
    game: str
    mode: Mode
    verb: str
    changed: bool
    characters: int
    start: int
    size: int


class TransitionSpool:
    """Unique transitions, on disk in the order in which they came.

    Two are the same if game, mode, state and action are. ``duplicates`` counts those that came
    again, ``conflicts`` those of them that had another target; the first one is kept.

    Args:
        file: Empty and open for writing and reading bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.entries: list[Entry] = []
        self.targets: dict[bytes, bytes] = {}
        self.duplicates = self.conflicts = 0

    def add(self, transition: Transition, unit: str, scope: str = "") -> None:
        """Keep a transition unless it came before within the scope."""
        state = canonical(transition.state)
        key = digest(scope, transition.game, transition.mode, transition.action, state)
        target = digest(canonical(transition.target))
        if key in self.targets:
            self.duplicates += 1
            self.conflicts += self.targets[key] != target
            return
        self.targets[key] = target
        line = json.dumps(transition.to_json()).encode()
        self.entries.append(
            Entry(
                unit=unit,
                game=transition.game,
                mode=transition.mode,
                verb=transition.action.partition(" ")[0],
                changed=transition.changed,
                characters=len(state),
                start=self.file.tell(),
                size=len(line),
            )
        )
        self.file.write(line)

    def read(self, entry: Entry) -> dict[str, Any]:
        """The document of a transition."""
        self.file.seek(entry.start)
        return json.loads(self.file.read(entry.size))


def canonical(state: GameState) -> str:
    """JSON that is the same for the same state: neither objects nor contents have an order."""
    objects = sorted(state["objects"], key=itemgetter("uuid"))
    unordered = [item | {"contains": sorted(item["contains"])} for item in objects]
    return json.dumps({"objects": unordered, "score": state["score"]}, sort_keys=True)


def digest(*texts: str) -> bytes:
    """A short hash of some texts."""
    return hashlib.blake2b(json.dumps(texts).encode(), digest_size=16).digest()


def write_splits(
    folder: Path, spool: TransitionSpool, split_of: Callable[[Entry], str], seed: int
) -> dict[str, TextSplit]:
    """Write the shards of all splits, each in a random order, and describe them.

    Args:
        folder: Where the shards go.
        spool: The transitions.
        split_of: The split of an entry.
        seed: Where the order comes from.
    """
    groups: dict[tuple[str, Mode], list[Entry]] = defaultdict(list)
    for entry in spool.entries:
        groups[split_of(entry), entry.mode].append(entry)
    splits: dict[str, TextSplit] = {}
    for split, mode in sorted(groups, key=lambda group: (SPLITS.index(group[0]), group[1])):
        entries = groups[split, mode]
        found = splits.setdefault(split, TextSplit([], {}))
        found.modes[mode] = count(entries)
        kinds = {f"{split}-{mode}": entries}
        if split == "train":
            kinds = {
                f"{split}-{mode}-changed": [entry for entry in entries if entry.changed],
                f"{split}-{mode}-unchanged": [entry for entry in entries if not entry.changed],
            }
        for name, members in kinds.items():
            random.Random(f"{seed} {name}").shuffle(members)
            found.shards += _write_shards(folder, name, members, spool)
    return splits


def _write_shards(
    folder: Path, name: str, entries: Sequence[Entry], spool: TransitionSpool
) -> list[TextShard]:
    """Write entries to as few shards as hold them, all about equally large."""
    shards = []
    pieces = -(-len(entries) // SHARD)
    for piece in range(pieces):
        indices = range(len(entries) * piece // pieces, len(entries) * (piece + 1) // pieces)
        path = folder / f"{name}-{piece:06d}.tar"
        write_shard(path, (_sample(name, index, spool.read(entries[index])) for index in indices))
        members = [entries[index] for index in indices]
        changed = sum(entry.changed for entry in members)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        shards.append(TextShard(path.name, members[0].mode, len(members), changed, sha256))
    return shards


def _sample(name: str, index: int, document: dict[str, Any]) -> Sample:
    return f"{name}-{index:06d}", {"json": document}


def count(entries: Sequence[Entry]) -> TextCounts:
    """What the entries of one mode of a split are."""
    games: dict[str, list[bool]] = defaultdict(list)
    verbs: dict[str, list[bool]] = defaultdict(list)
    for entry in entries:
        games[entry.game].append(entry.changed)
        if entry.verb:
            verbs[entry.verb].append(entry.changed)
    lengths = sorted(entry.characters for entry in entries)
    return TextCounts(
        transitions=len(entries),
        changed=sum(entry.changed for entry in entries),
        games={game: [len(found), sum(found)] for game, found in sorted(games.items())},
        verbs={verb: [len(found), sum(found)] for verb, found in sorted(verbs.items())},
        characters={
            "median": int(statistics.median(lengths)),
            "q90": lengths[len(lengths) * 9 // 10],
            "max": lengths[-1],
        },
    )
