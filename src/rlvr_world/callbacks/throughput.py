"""The speed of training."""

import time
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from rlvr_world.types import Batch


class Throughput(Callback):
    """Logs how fast training batches pass, data loading included and validation left out.

    Every ``log_every_n_steps`` batches logs ``time/batches_per_second`` and
    ``time/samples_per_second`` over the batches since the last time, and for world models that are
    trained by likelihood ``time/tokens_per_second``, which counts given and predicted tokens. All
    ranks together; each is taken to have batches of one size.
    """

    def __init__(self) -> None:
        self.start = self.paused = 0.0
        self.batches = 0

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the clock."""
        self.start, self.batches = time.perf_counter(), 0

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Stop the clock."""
        self.paused = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the clock again."""
        self.start += time.perf_counter() - self.paused

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Count a batch, and log where Lightning logs."""
        self.batches += 1
        interval = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if not interval or (trainer.fit_loop.total_batch_idx + 1) % interval:
            return
        now = time.perf_counter()
        rate = self.batches / (now - self.start)
        self.start, self.batches = now, 0
        module.log("time/batches_per_second", rate)
        module.log("time/samples_per_second", rate * trainer.world_size * len(batch["key"]))
        codec = getattr(module, "codec", None)
        if codec is not None and module.automatic_optimization:
            with torch.no_grad():
                tokens = codec.encode(batch).ids.numel()
            module.log("time/tokens_per_second", rate * trainer.world_size * tokens)
