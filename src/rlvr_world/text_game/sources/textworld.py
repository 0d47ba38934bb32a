"""Recordings of text games that TextWorld makes."""

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlvr_world.jobs import in_processes, progress_bar
from rlvr_world.language.manifest import TransitionManifest
from rlvr_world.language.recorded import SPLITS, TransitionSpool, recording
from rlvr_world.text_game.game_state import canonical
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
        self.settings: dict[str, Any] = {
            "games": asdict(games),
            "size": asdict(size),
            "steps": steps,
            "changed_share": changed_share,
            "held_out_verbs": sorted(held_out_verbs),
            "seed": seed,
        }

    def record(self) -> TransitionManifest:
        """Record all games, write the manifest and return it."""
        import_textworld()
        manifest = TransitionManifest.finished(self.root, "textworld", self.settings)
        if manifest is not None:
            return manifest
        rules: dict[str, dict[str, str]] = {}
        counts: Counter[str] = Counter()
        starts: set[str] = set()
        with recording(self.root) as spool:
            for (split, number), play in zip(self._jobs(), self._played(), strict=True):
                if play.start in starts:
                    counts["games_made_twice"] += 1
                    continue
                starts.add(play.start)
                rules[game_name(split, number)] = play.rules
                self._spool(spool, split, play, counts)
            return spool.finish(
                lambda entry: entry.unit,
                self.settings["seed"],
                source="textworld",
                settings=self.settings,
                rows=counts,
                versions={"textworld": version("textworld")},
                documents={"rules.json": rules},
            )

    def _jobs(self) -> list[tuple[str, int]]:
        counts = self.settings["games"]
        return [(split, number) for split in counts for number in range(counts[split])]

    def _played(self) -> Iterator[Play]:
        jobs = [(*job, self.settings) for job in self._jobs()]
        plays = in_processes(play_game, jobs, self.processes, in_order=True)
        with progress_bar() as progress:
            yield from progress.track(plays, len(jobs), description="playing")

    def _spool(self, spool: TransitionSpool, split: str, play: Play, counts: Counter[str]) -> None:
        for transition in play.transitions:
            counts["actions"] += 1
            if transition.action.partition(" ")[0] not in self.settings["held_out_verbs"]:
                spool.add(transition, split)
            elif split == "train":
                spool.add(transition, "test_verbs")
            else:
                counts["held_out_verbs_in_unseen_games"] += 1


def game_name(split: str, number: int) -> str:
    """How transitions and rules name a game."""
    return f"textworld-{split}-{number:04d}"


def play_game(split: str, number: int, settings: dict[str, Any]) -> Play:
    """Make and play one game; one whose goal is reached at the start is made anew."""
    for attempt in range(100):
        seeds = np.random.SeedSequence([settings["seed"], SPLITS.index(split), number, attempt])
        seed = int(seeds.generate_state(1)[0])
        game = TextGame(seed, Size(**settings["size"]))
        if not game.won(game.game.world.state.facts):
            break
    walker = Walker(game, random.Random(seed), settings["changed_share"])
    transitions = list(walker.transitions(game_name(split, number), settings["steps"]))
    return Play(canonical(transitions[0].state) + game.task, game.rules, transitions)
