"""The published ByteSized32-State-Prediction files as shards.

Source: Wang et al., "Can Language Models Serve as Text-Based World Simulators?", 2024. A row holds
the state before an action, after the action, and after the time step (tick) that follows, and the
score before and after.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from rlvr_world.files import read_json, sha256
from rlvr_world.language.manifest import TransitionManifest
from rlvr_world.language.recorded import Entry, TransitionSpool, digest, recording
from rlvr_world.text_game.game_state import canonical
from rlvr_world.text_game.sources.bytesized32_rows import Row, read_rows
from rlvr_world.text_game.transition import Mode

EXAMPLE_GAME = "dishwasher"  # whose transitions the prompts of the original show
RULES = ("objects", "actions", "score")
TEST_FILE = "the test file"


def bytesized32(
    source: Path,
    root: Path = Path("data/bytesized32"),
    split_by: Literal["state", "game", "file"] = "state",
    val_share: float = 0.1,
    test_share: float = 0.2,
    modes: Sequence[Mode] = ("full", "action", "tick", "score"),
    seed: int = 0,
    max_skip_share: float = 0.01,
) -> TransitionManifest:
    """Write the shards of the published ByteSized32-State-Prediction files.

    Each row gives one transition per mode; those of the same game, state and action are kept once,
    but for those of a test file that ``split_by`` keeps. The example game is left out. In mode
    ``score`` the state is the one after the tick.

    Args:
        source: Folder with ``train.jsonl`` or ``test.jsonl`` or both, plain or as ``.gz``, and with
            ``object_rules.json``, ``action_rules.json`` and ``score_rules.json``.
        root: Folder for the shards.
        split_by: ``state`` puts all transitions from the same objects into the same split, also
            those of different modes; ``game`` all of a game; ``file`` keeps the test file as it
            is, with rows that occur twice, and takes the validation split from the train file by
            state.
        val_share: Share of the states or games for validation.
        test_share: Share of the states or games to test on; not used with ``file``.
        modes: What the transitions cover.
        seed: Where splits and order come from.
        max_skip_share: Stop if a larger share of a file's lines is broken.
    """
    files = find_files(source, split_by)
    settings = {
        "files": {name: sha256(path) for name, path in files.items()},
        "split_by": split_by,
        "shares": shares(split_by, val_share, test_share),
        "modes": list(modes),
        "seed": seed,
    }
    rules = read_rules(source)
    manifest = TransitionManifest.finished(root, "bytesized32", settings)
    if manifest is not None:
        return manifest
    with recording(root) as spool:
        return convert(files, spool, rules, settings, max_skip_share)


def convert(
    files: Mapping[str, Path],
    spool: TransitionSpool,
    rules: Mapping[str, Mapping[str, str]],
    settings: Mapping[str, Any],
    max_skip_share: float,
) -> TransitionManifest:
    """Write the shards, rules and manifest of some files into the folder of a spool."""
    counts: Counter[str] = Counter()
    leaks, seed = LeakCount(), settings["seed"]
    for name, path in files.items():
        for row in read_rows(path, max_skip_share, counts):
            if row.game == EXAMPLE_GAME:
                counts["example_game"] += 1
                continue
            if len(files) == 2:
                leaks.add(name, row)
            spool_row(spool, row, settings["modes"], name, settings["split_by"])
    split_of = assign(spool.entries, settings["shares"], random.Random(seed))
    games = {entry.subject for entry in spool.entries}
    return spool.finish(
        lambda entry: split_of[entry.unit],
        seed,
        source="bytesized32",
        settings=settings,
        rows=dict(counts) | ({"leaks": leaks.summary()} if len(files) == 2 else {}),
        documents={"rules.json": {game: rules[game] for game in rules if game in games}},
    )


def find_files(source: Path, split_by: str) -> dict[str, Path]:
    """The train and the test file of a folder, as far as they are there."""
    files = {}
    for name in ("train", "test"):
        for path in (source / f"{name}.jsonl.gz", source / f"{name}.jsonl"):
            if path.exists():
                files[name] = path
    wanted = ("train", "test") if split_by == "file" else tuple(files) or ("train",)
    for name in wanted:
        if name not in files:
            raise FileNotFoundError(
                f"{source} holds neither {name}.jsonl nor {name}.jsonl.gz of "
                f"ByteSized32-State-Prediction (split_by is {split_by})"
            )
    return files


def shares(split_by: str, val_share: float, test_share: float) -> dict[str, float]:
    """The share of each split among states or games."""
    test = 0.0 if split_by == "file" else test_share
    if min(val_share, test) < 0 or val_share + test >= 1:
        raise ValueError(
            f"val_share {val_share:g} and test_share {test:g} must be at least 0 and leave "
            "something to train on"
        )
    return {"train": 1 - val_share - test, "val": val_share, "test": test}


def read_rules(source: Path) -> dict[str, dict[str, str]]:
    """The rules in words by game; empty if the folder has none of the three files."""
    paths = {kind: source / f"{kind.removesuffix('s')}_rules.json" for kind in RULES}
    missing = [path for path in paths.values() if not path.exists()]
    if len(missing) == len(paths):
        return {}
    if missing:
        raise FileNotFoundError(f"{missing[0]} does not exist, but other rules do")
    texts = {kind: _texts(path) for kind, path in paths.items()}
    games = set.intersection(*(set(found) for found in texts.values()))
    return {game: {kind: texts[kind][game] for kind in RULES} for game in sorted(games)}


def _texts(path: Path) -> dict[str, str]:
    """A JSON file of one text per game; its separator lines become empty ones."""
    try:
        texts = read_json(path)
        return {
            game: "\n\n".join(part.strip() for part in text.split("==========")).strip()
            for game, text in texts.items()
        }
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path} must hold one text for each game ({error})") from error


def spool_row(
    spool: TransitionSpool, row: Row, modes: Iterable[Mode], file: str, split_by: str
) -> None:
    """Add a row's transitions."""
    as_it_is = split_by == "file" and file == "test"
    for mode in modes:
        transition = row.transition(mode)
        unit = TEST_FILE if as_it_is else transition.game
        if not as_it_is and split_by != "game":
            unit += " " + digest(canonical(transition.state | {"score": None})).hex()
        spool.add(transition, unit, scope=f"{TEST_FILE} {len(spool.entries)}" if as_it_is else "")


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
