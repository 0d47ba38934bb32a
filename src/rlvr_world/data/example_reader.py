"""What makes the examples of a batch out of the raw samples of shards."""

import random
from abc import ABC, abstractmethod
from typing import Any

from rlvr_world.data.samples import RawSample
from rlvr_world.types import Batch

Example = dict[str, Any]
"""What a batch is collated from."""


class ExampleReader(ABC):
    """Makes examples of a raw sample; raises ``BadSample`` where that cannot be done."""

    @abstractmethod
    def draw(self, sample: RawSample, rng: random.Random) -> list[Example]:
        """Random examples to train on."""

    @abstractmethod
    def spread(self, sample: RawSample) -> list[Example]:
        """The examples to evaluate on, always the same; ``__index__`` numbers a split's samples."""

    def source(self, sample: RawSample) -> str:
        """The key of what a sample is a piece of; its own if it is a whole."""
        return sample["__key__"]

    @abstractmethod
    def count(self, length: int) -> int:
        """How many examples ``spread`` makes of a sample with so many time steps."""

    def length_of(self, example: Example) -> int:
        """How long an example is beside others; 0 where all are alike."""
        return 0

    @abstractmethod
    def collate(self, examples: list[Example]) -> Batch:
        """One batch of examples."""
