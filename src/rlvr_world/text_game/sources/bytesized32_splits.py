"""Which split of ByteSized32-State-Prediction a transition belongs to, and what its files share."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from rlvr_world.language.recorded import Entry, TransitionSpool, digest
from rlvr_world.text_game.game_state import canonical
from rlvr_world.text_game.sources.bytesized32_rows import Row
from rlvr_world.text_game.transition import Mode, Transition

TEST_FILE = "the test file"


def spool_row(
    spool: TransitionSpool, row: Row, modes: Iterable[Mode], file: str, split_by: str
) -> None:
    """Add a row's transitions."""
    as_it_is = split_by == "file" and file == "test"
    for mode in modes:
        transition = row.transition(mode)
        unit = TEST_FILE if as_it_is else transition.game
        if not as_it_is and split_by != "game":
            unit += " " + objects_digest(transition)
        spool.add(transition, unit, scope=TEST_FILE if as_it_is else "")


def objects_digest(transition: Transition) -> str:
    """A hash of the objects of the state, whatever the score."""
    return digest(canonical(transition.state | {"score": None})).hex()


def assign(
    entries: Iterable[Entry], shares: Mapping[str, float], rng: random.Random
) -> dict[str, str]:
    """The split of each unit, so that every game has each split's share of states.

    States in which an action is chosen are shared out before those that only lie between an action
    and its tick.
    """
    ranks: dict[str, tuple[int, str]] = {}
    for entry in entries:
        rank = (int(entry.group in ("tick", "score")), entry.subject)
        ranks[entry.unit] = min(rank, ranks.get(entry.unit, rank))
    groups = defaultdict(list)
    for unit, rank in sorted(ranks.items()):
        groups[rank].append(unit)
    order = sorted(groups)
    rng.shuffle(order)
    split_of: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for group in sorted(order, key=lambda rank: rank[0]):
        units = groups[group]
        rng.shuffle(units)
        for unit in units:
            total = len(split_of) + 1
            split = max(shares, key=lambda name: shares[name] * total - counts[name])
            split_of[unit] = split
            counts[split] += 1
    return split_of | ({TEST_FILE: "test"} if TEST_FILE in ranks else {})


class LeakCount:
    """Counts what the test file has in common with the train file."""

    def __init__(self) -> None:
        self.changed: dict[str, dict[bytes, bool]] = {"train": {}, "test": {}}
        self.states: dict[str, set[bytes]] = {"train": set(), "test": set()}

    def add(self, file: str, row: Row) -> None:
        transition = row.transition("full")
        state = digest(transition.game, canonical(transition.state))
        self.states[file].add(state)
        self.changed[file][digest(state.hex(), transition.action)] = transition.changed

    def summary(self) -> dict[str, int]:
        test, train = self.changed["test"], self.changed["train"]
        return {
            "test_transitions": len(test),
            "test_transitions_in_train": len(test.keys() & train.keys()),
            "test_changed": sum(test.values()),
            "test_changed_in_train": sum(test[key] for key in test.keys() & train.keys()),
            "test_states": len(self.states["test"]),
            "test_states_in_train": len(self.states["test"] & self.states["train"]),
        }
