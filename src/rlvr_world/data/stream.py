"""Streams of batches from WebDataset shards: at random to train, each example once to evaluate."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count, islice
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info
from webdataset.filters import batched, shuffle

from rlvr_world.data.example_reader import Example, ExampleReader
from rlvr_world.data.samples import BAD, BadSample, RawSample, Read, Skips
from rlvr_world.data.shard_file import ALL, Part, ShardFile, read_shard
from rlvr_world.types import Batch

Draw = Callable[[RawSample], list[Example]]
Fitting = Callable[[Batch], Sequence[bool]]
"""Which examples of a batch are short enough for a codec."""

OPEN_SHARDS = 4  # a training stream mixes the samples of this many shards
ENOUGH = 1000  # samples of which one must fit
PASSES = 8  # as many samples as so many passes hold are enough to begin an epoch with


class Stream(IterableDataset, ABC):
    """Yields pairs of a batch, or None at the end, and the reads since the pair before.

    The pass goes by ``epoch`` and begins at the batch ``start``, which a training stream heeds.

    Args:
        shards: Where the samples are.
        reader: Makes examples of samples and batches of examples.
        batch_size: Examples in a batch.
        skips: What to call the data and how many samples may be skipped.
        rank: This process among ``world``.
        world: The number of processes that share the data.
        fitting: Which examples can be used; all if not given. The others are left out and counted.
    """

    def __init__(
        self,
        shards: Sequence[ShardFile],
        reader: ExampleReader,
        batch_size: int,
        skips: Skips,
        rank: int = 0,
        world: int = 1,
        fitting: Fitting | None = None,
    ) -> None:
        super().__init__()
        self.fitting = fitting
        self.epoch = self.start = 0
        self.shards = shards
        self.reader = reader
        self.batch_size = batch_size
        self.skips = skips
        self.rank = rank
        self.world = world

    def __iter__(self) -> Iterator[tuple[Batch | None, list[Read]]]:
        self.skips = self.skips.fresh()
        self.reads: list[Read] = []
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        for batch in self.batches((worker + self.start) % workers, workers):
            yield batch, self._new_reads()
        yield None, self._new_reads()

    @abstractmethod
    def batches(self, worker: int, workers: int) -> Iterator[Batch]:
        """The batches of one of the rank's workers."""

    def samples(self, shard: ShardFile, mine: range) -> Iterator[RawSample]:
        """The raw samples of a shard at the indices in ``mine``; notes what is missing.

        Those beyond what the manifest promises follow at the same distance.
        """
        seen, reason = 0, f"{shard} ends before its {shard.samples} samples are complete"
        try:
            for index, sample in enumerate(read_shard(shard)):
                seen = index + 1
                if index >= mine.start and (index - mine.start) % mine.step == 0:
                    yield sample
        except BadSample as error:
            reason = str(error)
        lost = sum(index >= seen for index in mine)
        if lost:
            self._note(Read(lost, reason))

    def examples(
        self, samples: Iterator[RawSample], make: Callable[[RawSample], list[Example]]
    ) -> Iterator[list[Example]]:
        """The examples of each sample that can be used; stops where too many had to be skipped.

        Whatever ``make`` raises is a fault of the sample: it is named, and a fault of ours, which
        every sample would have, stops the run as too many bad samples.
        """
        for sample in samples:
            where = f"{sample['__url__']}: {sample['__key__']}"
            try:
                if BAD in sample:
                    raise BadSample(f"{where}: {sample[BAD]}")
                found = make(sample)
                examples = self.fit(found)
            except BadSample as error:
                self._note(Read(1, str(error)))
            except Exception as error:
                self._note(Read(1, f"{where} is broken ({type(error).__name__}: {error})"))
            else:
                self._note(Read(1, left_out=len(found) - len(examples)))
                yield examples
            if self.skips.too_many:
                return
            if ENOUGH <= self.skips.left_out == self.skips.read:
                raise ValueError(
                    f"{self.skips.what}: none of {self.skips.read} samples fits; raise "
                    "prompt_length of the codec"
                )

    def fit(self, examples: list[Example]) -> list[Example]:
        """Those of the examples that can be used."""
        if self.fitting is None or not examples:
            return examples
        fits = self.fitting(self.reader.collate(examples))
        return [example for example, fit in zip(examples, fits, strict=True) if fit]

    def _note(self, read: Read) -> None:
        self.skips.add(read)
        self.reads.append(read)

    def _new_reads(self) -> list[Read]:
        reads, self.reads = self.reads, []
        return reads


class TrainingStream(Stream):
    """Random batches of randomly chosen shards, the same for the same seed, epoch and rank.

    Args:
        **stream: The arguments of ``Stream``.
        length: Batches per epoch on this rank.
        buffer: Examples that are shuffled among each other; an epoch begins with a quarter of them,
            or with as many as ``PASSES`` times the samples of a small data set.
        seed: Where the randomness comes from, together with ``epoch``, rank and worker.
        part: Which of the samples; the others are passed over.
        sort_batches: Of how many batches the examples are sorted by length, then cut into batches.
    """

    def __init__(
        self,
        *,
        length: int,
        buffer: int,
        seed: int,
        part: Part = ALL,
        sort_batches: int = 1,
        **stream: Any,
    ) -> None:
        super().__init__(**stream)
        self.length = length
        self.sort_batches = sort_batches
        self.buffer = buffer
        self.seed = seed
        self.part = part
        self.passed_over = 0

    def batches(self, worker: int, workers: int) -> Iterator[Batch]:
        """This worker's share of the epoch; the batches before ``start`` are drawn and dropped."""
        name = f"{self.seed} {self.epoch} {self.rank} {worker}"
        rng, self.drawn = random.Random(name), 0

        def draw(sample: RawSample) -> list[Example]:
            examples = self.reader.draw(sample, random.Random(f"{name} {self.drawn}"))
            self.drawn += 1
            return examples

        examples = chain.from_iterable(self.resampled(rng, draw))
        first = min(self.buffer // 4, PASSES * sum(shard.samples for shard in self.shards))
        shuffled = shuffle(self.buffer, first, rng=rng)(examples)
        share = len(range(worker, self.length, workers))
        dropped = len(range(worker, self.start, workers))
        batches = self.of_similar_length(shuffled, rng)
        return map(self.reader.collate, islice(batches, dropped, share))

    def of_similar_length(
        self, examples: Iterator[Example], rng: random.Random
    ) -> Iterator[list[Example]]:
        """Batches, in random order, of a few batches' worth of examples at a time."""
        size = self.batch_size
        for pool in batched(size * self.sort_batches, list, False)(examples):
            if self.sort_batches > 1:
                pool.sort(key=self.reader.length_of)
            batches = [pool[first : first + size] for first in range(0, len(pool), size)]
            rng.shuffle(batches)
            yield from batches

    def resampled(self, rng: random.Random, draw: Draw) -> Iterator[list[Example]]:
        """The examples of one sample after another, for ever."""
        return self.endless(self.shards, rng, draw)

    def endless(
        self, shards: Sequence[ShardFile], rng: random.Random, draw: Draw
    ) -> Iterator[list[Example]]:
        """Examples of several open shards in turn, for ever; the first ones start anywhere.

        Bad samples take no random numbers, so that the others come as they would without them.
        """

        def opened(anywhere: bool) -> Iterator[list[Example]]:
            shard = rng.choice(shards)
            start = int(rng.random() * shard.samples) if anywhere else 0
            samples = self.samples(shard, range(start, shard.samples))
            return self.examples(filter(self.is_mine, samples), draw)

        streams = [opened(anywhere=True) for _ in range(OPEN_SHARDS)]
        while not self.skips.too_many:
            chosen = rng.randrange(OPEN_SHARDS)
            while (examples := next(streams[chosen], None)) is None and not self.skips.too_many:
                streams[chosen] = opened(anywhere=False)
            if examples is not None:
                yield examples

    def is_mine(self, sample: RawSample) -> bool:
        """Whether a sample is of the part; raises ``ValueError`` if none has been for long."""
        found = self.part.holds(self.reader.source(sample))
        self.passed_over = 0 if found else self.passed_over + 1
        if self.passed_over > PASSES * sum(shard.samples for shard in self.shards):
            raise ValueError(
                f"{self.skips.what}: {self.passed_over} samples in a row are not in part "
                f"{list(self.part)}; widen it"
            )
        return found


class MixedStream(TrainingStream):
    """A training stream that takes samples from several groups of shards at given shares.

    Args:
        groups: The shards of each group and the share of its samples in the stream.
        **stream: The arguments of ``TrainingStream``.
    """

    def __init__(
        self, *, groups: Sequence[tuple[Sequence[ShardFile], float]], **stream: Any
    ) -> None:
        super().__init__(**stream)
        self.groups = [(shards, share) for shards, share in groups if share]

    def resampled(self, rng: random.Random, draw: Draw) -> Iterator[list[Example]]:
        """Each sample from a group that is drawn for it."""
        streams = [self.endless(shards, rng, draw) for shards, _ in self.groups]
        shares = [share for _, share in self.groups]
        while True:
            (stream,) = rng.choices(streams, shares)
            examples = next(stream, None)
            if examples is None:
                return
            yield examples


class EvaluationStream(Stream):
    """Every example of the shards once, over all ranks and workers together."""

    def batches(self, worker: int, workers: int) -> Iterator[Batch]:
        """The batches of every (world x workers)-th sample; a rank's first worker comes first."""
        examples = self.examples(self._mine(worker, workers), self.reader.spread)
        return batched(self.batch_size, self.reader.collate, True)(chain.from_iterable(examples))

    def _mine(self, worker: int, workers: int) -> Iterator[RawSample]:
        slots, slot = self.world * workers, worker * self.world + self.rank
        first = 0
        for shard in self.shards:
            mine = range((slot - first) % slots, shard.samples, slots)
            numbers = count(first + mine.start, mine.step)
            for number, sample in zip(numbers, self.samples(shard, mine), strict=False):
                yield sample | {"__index__": number}
            first += shard.samples
