"""Transitions of text games."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlvr_world.data.manifest import ShardManifest
from rlvr_world.data.samples import BadSample
from rlvr_world.data.shards import ShardDataModule
from rlvr_world.data.stream import Example, ExampleReader, MixedStream, RawSample, ShardFile
from rlvr_world.data.text_manifest import TextManifest, TextShard
from rlvr_world.states.text_game import Mode, Transition
from rlvr_world.types import Batch

Rules = Mapping[str, Mapping[str, str]]
"""By game: its ``objects``, ``actions`` and ``score`` rules in words."""


@dataclass(frozen=True)
class TransitionReader(ExampleReader):
    """Reads one transition of each sample.

    Args:
        rules: The rules in words of each game that has any.
    """

    rules: Rules

    def draw(self, sample: RawSample, rng: random.Random) -> list[Example]:
        """The sample's transition."""
        return self.spread(sample)

    def spread(self, sample: RawSample) -> list[Example]:
        """The sample's transition.

        Raises:
            BadSample: If there is none, or it is not what ``Transition`` reads.
        """
        where = f"{sample['__url__']}: {sample['__key__']}"
        if "json" not in sample:
            raise BadSample(f"{where} has no json")
        try:
            transition = Transition.from_json(json.loads(sample["json"]), where)
        except json.JSONDecodeError as error:
            raise BadSample(f"{where}: json is broken ({error})") from error
        except (ValueError, RecursionError) as error:
            raise BadSample(str(error)) from error
        return [{"key": sample["__key__"], "transition": transition}]

    def count(self, length: int) -> int:
        """Always one."""
        return 1

    def collate(self, examples: list[Example]) -> Batch:
        """Lists of keys, of transitions and of their games' rules."""
        transitions = [example["transition"] for example in examples]
        return {
            "key": [example["key"] for example in examples],
            "transition": transitions,
            "rules": [self.rules.get(transition.game) for transition in transitions],
        }


class TextDataModule(ShardDataModule):
    """Transitions of text games.

    A batch holds lists of length B: ``key``; ``transition``, each a ``Transition``; and ``rules``,
    each the game's ``{"objects", "actions", "score"}`` in words, or None where they are not known.

    Args:
        root: Folder with the shards, their ``manifest.json`` and ``rules.json``.
        modes: Which of the transitions to read, of ``full``, ``action``, ``tick`` and ``score``.
        changed_share: Share of the training examples in which something changes, from 0 to 1; if
            not given, what it is in the data. Evaluation reads everything once.
        test_split: The split to test on: ``test``, or ``test_verbs`` where there is one.
        **shards: See ``ShardDataModule``.
    """

    made_by = "rlvr-world data textworld (or bytesized32) --root {root}"
    manifest_type: type[ShardManifest] = TextManifest

    def __init__(
        self,
        root: str = "data/textworld",
        modes: Sequence[Mode] = ("full",),
        changed_share: float | None = None,
        test_split: str = "test",
        **shards: Any,
    ) -> None:
        super().__init__(root, **shards)
        if not modes:
            raise ValueError("modes must name at least one of full, action, tick and score")
        if changed_share is not None and not 0 <= changed_share <= 1:
            raise ValueError(f"changed_share must be from 0 to 1, got {changed_share}")
        self.modes = tuple(modes)
        self.changed_share = changed_share
        self.test_split = test_split

    def reader(self, split: str) -> TransitionReader:
        """Reads transitions, and knows the rules of the games."""
        return TransitionReader(load_rules(self.root))

    def shards(self, split: str) -> list[ShardFile]:
        """The shards of a split that hold the wanted modes."""
        return self._files(self._shards(split))

    def lengths(self, split: str) -> dict[int, int]:
        """A transition is one time step."""
        return {1: sum(shard.transitions for shard in self._shards(split))}

    def training_stream(self, **stream: Any) -> MixedStream:
        """Mixes transitions in which something changes with the others."""
        found = self._shards("train")
        changed = [shard for shard in found if shard.changed]
        unchanged = [shard for shard in found if not shard.changed]
        share = self.changed_share
        if share is None:
            share = sum(s.changed for s in changed) / sum(s.transitions for s in found)
        groups = (("changed", changed, share), ("unchanged", unchanged, 1 - share))
        for name, shards, wanted in groups:
            if wanted and not shards:
                raise ValueError(
                    f"{self.root} has no {name} transitions of mode {', '.join(self.modes)} to "
                    f"train on, but changed_share is {share:g}"
                )
        return MixedStream(
            groups=[(self._files(shards), wanted) for _, shards, wanted in groups], **stream
        )

    def test_dataloader(self) -> Any:
        """Each transition of the test split once."""
        return self.once(self.test_split)

    def predict_dataloader(self) -> Any:
        """The same as for testing."""
        return self.once(self.test_split)

    def transfer_batch_to_device(self, batch: Batch, device: Any, dataloader_idx: int) -> Batch:
        """The batch as it is: it holds no tensors."""
        return batch

    def _shards(self, split: str) -> list[TextShard]:
        found = self.manifest.splits.get(split)
        return [s for s in found.shards if s.mode in self.modes] if found else []

    def _files(self, shards: Sequence[TextShard]) -> list[ShardFile]:
        return [ShardFile(self.root / shard.name, shard.samples) for shard in shards]


def load_rules(root: str | Path) -> Rules:
    """The rules in words of the games of a folder, from ``rules.json``.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If it does not hold texts under ``objects``, ``actions`` and ``score`` by game.
    """
    path = Path(root) / "rules.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: make the data again, or write {{}} to it")
    try:
        rules = json.loads(path.read_text())
        sound = all(
            game.keys() == {"objects", "actions", "score"}
            and all(isinstance(text, str) for text in game.values())
            for game in rules.values()
        )
    except (ValueError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise ValueError(
            f"{path} must hold, for each game, texts under exactly objects, actions and score"
        )
    return rules
