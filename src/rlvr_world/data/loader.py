"""The loader of a stream, which reports what had to be skipped."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch.utils.data import DataLoader

from rlvr_world.data.stream import Stream
from rlvr_world.types import Batch


class ShardLoader:
    """Loads a stream's batches; reports skipped samples after each pass, and stops if too many.

    It holds a ``DataLoader`` rather than being one, so that Lightning leaves it as it is.

    Args:
        stream: Where the batches come from.
        num_workers: Processes that load.
        length: Batches in a pass, if known.
        epoch: Gives the current epoch when a pass over a training stream begins; its skips are
            counted over all epochs.
    """

    def __init__(
        self,
        stream: Stream,
        num_workers: int = 0,
        length: int | None = None,
        epoch: Callable[[], int] | None = None,
    ) -> None:
        self.stream = stream
        self.length = length
        self.epoch = epoch
        self.skips = replace(stream.skips)
        self.loader = DataLoader(
            stream,
            batch_size=None,
            num_workers=num_workers,
            collate_fn=_unchanged,
            pin_memory=torch.cuda.is_available(),
        )

    def __len__(self) -> int:
        if self.length is None:
            raise TypeError("the number of batches is not known before they are read")
        return self.length

    def __iter__(self) -> Iterator[Batch]:
        if self.epoch is not None:
            self.stream.epoch = self.epoch()
        else:
            self.skips = replace(self.stream.skips, read=0, skipped=0, reasons=[])
        held = None
        for batch, reads in self.loader:
            for read in reads:
                self.skips.add(read)
            if self.skips.too_many:
                raise ValueError(f"{self.skips} (max_skip_share is {self.skips.max_share:g})")
            if held is not None:
                yield held
            held = batch
        if self.skips.skipped:
            warnings.warn(str(self.skips), stacklevel=2)
        if held is not None:
            yield held


def _unchanged(item: Any) -> Any:
    return item
