"""Faults of a run of the command line: ``FAULT="RANK PLACE DEED"`` in the environment.

Its module and its data are ``faults.World`` and ``faults.Clips``; the deed is done at most once.
"""

import os
import signal
import sys
import time

from lightning import Callback

from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.video.data.video import VideoDataModule

RANK, PLACE, DEED = os.environ.get("FAULT", "0 nowhere raise").split()
BATCH = 3
"""Batches before the one at which something happens."""


def maybe(place, rank):
    """Do the deed, if this is its place and rank, and write when."""
    global PLACE
    if (place, str(rank)) != (PLACE, RANK):
        return
    PLACE = None
    sys.stdout.write(f"DONE {time.time()}\n")
    sys.stdout.flush()
    if DEED == "raise":
        raise RuntimeError(f"a fault in {place}")
    name, _, whom = DEED.partition(":")
    for _ in range(2 if whom == "twice" else 1):
        kill, process = (os.killpg, os.getpgrp()) if whom == "all" else (os.kill, os.getpid())
        kill(process, getattr(signal, name))


class World(MLEWorldModel):
    def training_step(self, batch, index):
        if self.batches_seen == BATCH:
            maybe("training_step", self.global_rank)
        return super().training_step(batch, index)

    def validation_step(self, batch, index):
        maybe("validation_step", self.global_rank)
        return super().validation_step(batch, index)


class At(Callback):
    """For stages of any class."""

    def on_train_batch_start(self, trainer, *_):
        if trainer.fit_loop.total_batch_idx == BATCH:
            maybe("batch", trainer.global_rank)


class Clips(VideoDataModule):
    def train_dataloader(self):
        rank = self.trainer.global_rank
        loader = super().train_dataloader()
        batches = loader.stream.batches

        def failing(*share):
            for batch in batches(*share):
                yield batch
                maybe("worker", rank)

        loader.stream.batches = failing
        return loader

    def val_dataloader(self):
        """Made after Lightning has begun to handle signals, and before training starts."""
        maybe("val_dataloader", self.trainer.global_rank)
        return super().val_dataloader()
