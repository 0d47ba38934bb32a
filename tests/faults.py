"""Faults of a run of the command line: ``FAULT="RANK PLACE DEED, ..."`` in the environment.

Its world model and its data are ``faults.World`` and ``faults.Clips``, its callback ``faults.At``.
"""

import os
import signal
import sys
import time

from lightning import Callback

from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.video.data.video import VideoDataModule

DEEDS = {
    (int(rank), place): deed
    for rank, place, deed in map(str.split, filter(None, os.environ.get("FAULT", "").split(",")))
}
BATCH = 1
"""The training batch in which something happens."""


def maybe(place, rank):
    """Do what is to be done there, once, and write when."""
    deed = DEEDS.pop((rank, place), None)
    if deed is None:
        return
    sys.stdout.write(f"DONE {time.time()}\n")
    sys.stdout.flush()
    if deed == "raise":
        raise RuntimeError(f"a fault in {place}")
    if deed == "sleep":
        time.sleep(600)
        return
    name, _, whom = deed.partition(":")
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

    def on_train_end(self, trainer, *_):
        maybe("end", trainer.global_rank)


class Clips(VideoDataModule):
    def train_dataloader(self):
        rank = self.trainer.global_rank
        loader = super().train_dataloader()
        batches = loader.stream.batches

        def failing(*share):
            for index, batch in enumerate(batches(*share)):
                yield batch
                maybe(f"worker{index}", rank)

        loader.stream.batches = failing
        return loader

    def val_dataloader(self):
        """Made after Lightning has begun to handle signals, and before training starts."""
        maybe("val_dataloader", self.trainer.global_rank)
        return super().val_dataloader()
