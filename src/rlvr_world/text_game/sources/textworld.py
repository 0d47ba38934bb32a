"""Recordings of text games that TextWorld makes."""

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

import numpy as np

from rlvr_world.jobs import progress_bar
from rlvr_world.language.folder import describe, finished, whole_folder
from rlvr_world.language.layouts import GAMES, canonical
from rlvr_world.language.recorded import SPLITS, TransitionSpool, write_splits
from rlvr_world.text_game.manifest import TextManifest
from rlvr_world.text_game.sources.textworld_game import Size, TextGame, import_textworld
from rlvr_world.text_game.sources.textworld_walk import Walker
from rlvr_world.text_game.transition import Transition

VERBS = (
    "close", "drop", "eat", "examine", "go", "insert", "inventory", "lock", "look", "open", "put",
    "take", "unlock",
)  # fmt: skip


@dataclass
class Games:
    """How many games each split gets; no game is in two splits.

    Args:
        train: Games to train on.
        val: Games to choose checkpoints on.
        test: Games for the tables.
    """

    train: int = 200
    val: int = 20
    test: int = 40


class Play(NamedTuple):
    """A game and what happened in it."""

    start: str
    rules: dict[str, str]
    transitions: list[Transition]


class TextWorldRecorder:
    """Records text games that TextWorld makes, played at random and towards their goals.

    Transitions of the verbs that are held out are played but kept out of all splits; those of the
    training games make the split ``test_verbs``: known games, unknown verbs. The same arguments
    give the same bytes, whatever the number of processes.

    Args:
        root: Folder for the shards and their manifest.
        games: Games per split.
        size: How large a game is.
        steps: Actions per game; those that repeat in the same state are kept once.
        changed_share: Share of the actions in which something changes; a little less of what is
            kept, since actions that change nothing repeat less often.
        held_out_verbs: Verbs, the first words of actions, to keep for ``test_verbs``.
        seed: Where all randomness comes from.
        processes: Games made at the same time; as many as there are cores if not given.
    """

    def __init__(
        self,
        root: str = "data/textworld",
        games: Games = Games(),  # noqa: B008
        size: Size = Size(),  # noqa: B008
        steps: int = 60,
        changed_share: float = 0.55,
        held_out_verbs: Sequence[str] = ("insert", "unlock"),
        seed: int = 0,
        processes: int | None = None,
    ) -> None:
        least = {"steps": steps, "games.train": games.train, "size.quest_length": size.quest_length}
        for name, value in least.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not 2 <= size.rooms <= 5:
            raise ValueError(f"size.rooms must be from 2 to 5, got {size.rooms}")
        if not 0 <= changed_share <= 1:
            raise ValueError(f"changed_share must be from 0 to 1, got {changed_share}")
        for verb in held_out_verbs:
            if verb not in VERBS:
                raise ValueError(f"held_out_verbs: {verb} is none of {', '.join(VERBS)}")
        self.root = Path(root)
        self.processes = processes or os.cpu_count() or 1
        self.settings = {
            "games": asdict(games),
            "size": asdict(size),
            "steps": steps,
            "changed_share": changed_share,
            "held_out_verbs": sorted(held_out_verbs),
            "seed": seed,
        }

    def record(self) -> TextManifest:
        """Record all games, write the manifest and return it.

        Raises:
            ModuleNotFoundError: If TextWorld is not installed.
            ValueError: If the folder holds other data.
        """
        import_textworld()
        manifest = finished(self.root, "textworld", self.settings)
        if manifest is not None:
            return manifest
        with whole_folder(self.root) as folder, TemporaryFile(dir=folder) as file:
            spool, rules, counts, starts = TransitionSpool(file, GAMES), {}, Counter(), set()
            for (split, index), play in zip(self._jobs(), self._played(), strict=True):
                if play.start in starts:
                    counts["games_made_twice"] += 1
                    continue
                starts.add(play.start)
                rules[game_name(split, index)] = play.rules
                self._spool(spool, split, play, counts)
            splits = write_splits(folder, spool, lambda entry: entry.unit, self.settings["seed"])
            kept = {"duplicates": spool.duplicates, "conflicts": spool.conflicts}
            return describe(
                folder,
                rules,
                source="textworld",
                settings=self.settings,
                versions={"textworld": version("textworld")},
                splits=splits,
                rows=dict(counts) | kept,
            )

    def _jobs(self) -> list[tuple[str, int]]:
        """The split and the number of every game."""
        counts = self.settings["games"]
        return [(split, index) for split in counts for index in range(counts[split])]

    def _played(self) -> Iterator[Play]:
        """All games in order, whichever process played them."""
        jobs = self._jobs()
        play = partial(play_game, settings=self.settings)
        with progress_bar() as progress:
            if self.processes == 1:
                yield from progress.track(map(play, jobs), len(jobs), description="playing")
                return
            with ProcessPoolExecutor(self.processes, get_context("spawn")) as pool:
                try:
                    plays = pool.map(play, jobs)
                    yield from progress.track(plays, len(jobs), description="playing")
                finally:
                    pool.shutdown(cancel_futures=True)

    def _spool(self, spool: TransitionSpool, split: str, play: Play, counts: Counter[str]) -> None:
        """Add what happened in a game to the splits that it belongs to."""
        for transition in play.transitions:
            counts["actions"] += 1
            if transition.action.partition(" ")[0] not in self.settings["held_out_verbs"]:
                spool.add(transition, split)
            elif split == "train":
                spool.add(transition, "test_verbs")
            else:
                counts["held_out_verbs_in_unseen_games"] += 1


def game_name(split: str, index: int) -> str:
    """How transitions and rules name a game."""
    return f"textworld-{split}-{index:04d}"


def play_game(job: tuple[str, int], settings: dict[str, Any]) -> Play:
    """Make and play one game; one whose goal is reached at the start is made anew.

    Args:
        job: The split and the number of the game.
        settings: Those of the recorder.
    """
    split, index = job
    for attempt in range(100):
        seeds = np.random.SeedSequence([settings["seed"], SPLITS.index(split), index, attempt])
        seed = int(seeds.generate_state(1)[0])
        game = TextGame(seed, Size(**settings["size"]))
        if not game.won(game.game.world.state.facts):
            break
    walker = Walker(game, random.Random(seed), settings["changed_share"])
    transitions = list(walker.transitions(game_name(split, index), settings["steps"]))
    return Play(canonical(transitions[0].state) + game.task, game.rules, transitions)
