"""The loader of a stream, which reports what had to be skipped."""

import gc
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.queues import Queue
from typing import Any

import torch
from torch.utils.data import DataLoader

from rlvr_world.data.stream import Stream
from rlvr_world.types import Batch

log = logging.getLogger(__name__)


class ShardLoader:
    """Loads a stream's batches; logs each skipped sample once, and stops if there are too many.

    After each pass it says how many there were.

    It holds a ``DataLoader`` rather than being one, so that Lightning leaves it as it is.

    Args:
        stream: Where the batches come from.
        num_workers: Processes that load.
        length: Batches in a pass, if known.
        position: Gives the epoch, and the batch in it, at which a pass over a training stream
            begins; its skips are counted over all epochs.
    """

    def __init__(
        self,
        stream: Stream,
        num_workers: int = 0,
        length: int | None = None,
        position: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        self.stream = stream
        self.length = length
        self.position = position
        self.skips = stream.skips.fresh()
        self.loader = DataLoader(
            stream,
            batch_size=None,
            num_workers=num_workers,
            collate_fn=_unchanged,
            worker_init_fn=_begin_worker,
            pin_memory=torch.cuda.is_available(),
        )

    def __len__(self) -> int:
        if self.length is None:
            raise TypeError("the number of batches is not known before they are read")
        return self.length

    def __iter__(self) -> Iterator[Batch]:
        if self.position is not None:
            self.stream.epoch, self.stream.start = self.position()
        else:
            self.skips = self.stream.skips.fresh()
        held = None
        for batch, reads in self._started():
            for read in reads:
                if self.skips.add(read):
                    log.warning("skipped: %s", read.reason)
            if self.skips.too_many:
                raise ValueError(f"{self.skips} (max_skip_share is {self.skips.max_share:g})")
            if held is not None:
                yield held
            held = batch
        if self.skips.skipped:
            warnings.warn(str(self.skips), stacklevel=2)
        if self.skips.left_out:
            left = f"{self.skips.left_out} of {self.skips.read} samples are left out"
            too_long = "their prompts are longer than the codec's prompt_length"
            warnings.warn(f"{self.skips.what}: {left}: {too_long}", stacklevel=2)
        if held is not None:
            yield held

    def _started(self) -> Iterator[Any]:
        """The loader's own pass.

        What this process no longer uses, say a process group of an earlier run, is left alone by
        the workers: collected there, without its threads, it would end them.

        Raises:
            OSError: The workers cannot be started.
        """
        gc.freeze()
        try:
            return iter(self.loader)
        except OSError as error:
            raise OSError(
                f"data.num_workers: workers cannot be started ({error.strerror}); let this process "
                "write to /dev/shm, or set 0"
            ) from error
        finally:
            gc.unfreeze()

    def state_dict(self) -> dict[str, Any]:
        """Nothing: where a resumed run goes on follows from the trainer's progress."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take nothing over."""


def _begin_worker(worker: int) -> None:
    """Let Ctrl-C, which reaches all processes of a terminal, stop the run, not its workers.

    A batch that cannot be handed over would be waited for without end, so it ends the worker; so
    does the end of the run, be the worker in the middle of a batch that takes for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Queue._on_queue_feeder_error = staticmethod(_end_worker)  # type: ignore[attr-defined]
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _end_worker(error: Exception, handed: Any) -> None:
    sys.stderr.write(f"a data worker cannot hand over a batch: {error}\n")
    sys.stderr.flush()
    os._exit(1)


def _unchanged(item: Any) -> Any:
    return item
