"""Transitions in words, whether of text games or of web pages."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from rlvr_world.data.decode import parse_json
from rlvr_world.data.example_reader import Example, ExampleReader
from rlvr_world.data.loader import ShardLoader
from rlvr_world.data.manifest import ShardManifest
from rlvr_world.data.samples import BadSample, RawSample
from rlvr_world.data.shard_file import ShardFile
from rlvr_world.data.shards import ShardDataModule
from rlvr_world.data.stream import MixedStream
from rlvr_world.language.manifest import TransitionManifest, TransitionShard
from rlvr_world.language.transition import Form, Style, TextTransition
from rlvr_world.types import Batch

Retelling = Callable[[Any, random.Random], Any]
"""Makes the same step with other words or numbers."""

MOST_SORTED = 1000
"""The most batches that are sorted at once, all of which are read before the first one comes."""


@dataclass(frozen=True)
class TransitionReader(ExampleReader):
    """Reads one transition of each sample, of which training makes what ``retell`` says.

    A transition that carries reasoning stays as it is, since that names what it was about.
    """

    kind: type[TextTransition]
    retell: Retelling | None = None

    def draw(self, sample: RawSample, rng: random.Random) -> list[Example]:
        (example,) = self.spread(sample)
        if self.retell is not None and not example["transition"].reasoning:
            example["transition"] = self.retell(example["transition"], rng)
        return [example]

    def spread(self, sample: RawSample) -> list[Example]:
        where = f"{sample['__url__']}: {sample['__key__']}"
        if "json" not in sample:
            raise BadSample(f"{where} has no json")
        try:
            document = parse_json(sample["json"])
        except ValueError as error:
            raise BadSample(f"{where}: {error}") from error
        try:
            transition = self.kind.from_json(document, where)
        except (ValueError, RecursionError) as error:
            raise BadSample(str(error)) from error
        key, length = sample["__key__"], len(sample["json"])
        return [{"key": key, "transition": transition, "length": length}]

    def length_of(self, example: Example) -> int:
        return example["length"]

    def count(self, length: int) -> int:
        return 1

    def collate(self, examples: list[Example]) -> Batch:
        return {name: [example[name] for example in examples] for name in ("key", "transition")}


class TransitionDataModule(ShardDataModule, ABC):
    """Transitions, of which training mixes those that change something with the others.

    Args:
        root: Folder with the shards and their ``manifest.json``.
        changed_share: Share of the training examples in which something changes, from 0 to 1; if
            not given, what it is in the data. Evaluation reads everything once.
        test_split: The split to test on: ``test``, or ``test_verbs``, ``test_tasks`` or
            ``test_pages`` for what training never shows, where there is such a split.
        sort_batches: The training examples of so many batches are sorted by length and then cut
            into batches, which come in random order: fewer of a batch's positions hold nothing. 1
            leaves examples as they come.
        **shards: See ``ShardDataModule``.
    """

    manifest_type: ClassVar[type[ShardManifest]] = TransitionManifest

    kind: ClassVar[type[TextTransition]]
    """What the transitions are."""

    in_modes: ClassVar[bool | None] = None
    """Whether each shard is of one mode, as those of text games are and those of pages are not."""

    groups: Sequence[str] | None = None
    """The groups whose shards are read, such as modes of text games; all if None."""

    word_pattern: ClassVar[str]
    """A regular expression that splits prompts and answers into words, of which a tokenizer makes
    its tokens."""

    def __init__(
        self,
        root: str,
        changed_share: float | None = None,
        test_split: str = "test",
        sort_batches: int = 1,
        **shards: Any,
    ) -> None:
        super().__init__(root, **shards)
        if not 1 <= sort_batches <= MOST_SORTED:
            raise ValueError(f"sort_batches must be from 1 to {MOST_SORTED}, got {sort_batches}")
        if changed_share is not None and not 0 <= changed_share <= 1:
            raise ValueError(f"changed_share must be from 0 to 1, got {changed_share}")
        self.changed_share = changed_share
        self.test_split = test_split
        self.sort_batches = sort_batches

    @property
    def _epoch_settings(self) -> dict[str, Any]:
        return super()._epoch_settings | {"sort_batches": self.sort_batches}

    @abstractmethod
    def texts(self, batch: Batch, style: Style, form: Form) -> Iterator[str]:
        """The prompts and the true answers of a batch."""

    @abstractmethod
    def retelling(self) -> Retelling | None:
        """What becomes of each transition in training."""

    def reader(self, split: str) -> TransitionReader:
        return TransitionReader(self.kind)

    def documents(self) -> dict[str, Any]:
        """The folder's JSON files beside the shards, by name."""
        return {}

    def steps(self, split: str) -> Iterable[Any]:
        return (step for batch in self.once(split) for step in batch["transition"])

    def shards(self, split: str) -> list[ShardFile]:
        return self._files(self._shards(split))

    def lengths(self, split: str) -> dict[int, int]:
        return {1: sum(shard.transitions for shard in self._shards(split))}

    def training_stream(self, **stream: Any) -> MixedStream:
        stream["reader"] = replace(stream["reader"], retell=self.retelling())
        found = self._shards("train")
        changed = [shard for shard in found if shard.changed]
        unchanged = [shard for shard in found if not shard.changed]
        share = self.changed_share
        if share is None:
            share = sum(s.changed for s in changed) / sum(s.transitions for s in found)
        groups = (("changed", changed, share), ("unchanged", unchanged, 1 - share))
        for name, shards, wanted in groups:
            if wanted and not shards:
                of = "" if self.groups is None else f" of {', '.join(self.groups)}"
                raise ValueError(
                    f"{self.root} has no {name} transitions{of} to train on, but changed_share is "
                    f"{share:g}"
                )
        return MixedStream(
            groups=[(self._files(shards), wanted) for _, shards, wanted in groups],
            sort_batches=self.sort_batches,
            **stream,
        )

    def test_dataloader(self) -> ShardLoader:
        return self.once(self.test_split)

    def predict_dataloader(self) -> ShardLoader:
        return self.once(self.test_split)

    def transfer_batch_to_device(self, batch: Batch, device: Any, dataloader_idx: int) -> Batch:
        """The batch as it is: it holds no tensors."""
        return batch

    def _shards(self, split: str) -> list[TransitionShard]:
        found = self.manifest.splits.get(split)
        shards = found.shards if found else []
        if any(self.in_modes not in (None, bool(shard.group)) for shard in shards):
            raise ValueError(
                f"{self.root} holds no data for {type(self).__name__}, but transitions of another "
                f"kind; give it a folder of `{self.made_by.format(root='FOLDER')}`"
            )
        return [s for s in shards if self.groups is None or s.group in self.groups]

    def _files(self, shards: Sequence[TransitionShard]) -> list[ShardFile]:
        return [self.file(self.root, shard) for shard in shards]
