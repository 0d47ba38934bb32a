"""The first batches of a training run, as ``fit`` would take them, with time and memory."""

import logging
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from rlvr_world.command_line.training import TrainingCLI

BATCHES = 2  # the first one warms up


class Watch(Callback):
    """Stops a run after its first batches, of which it times the last one."""

    def __init__(self) -> None:
        self.batches, self.seconds = 0, 0.0

    def on_train_batch_start(self, trainer: Trainer, *batch: Any) -> None:
        """Start the clock."""
        self.start = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *batch: Any) -> None:
        """Stop it, and the run."""
        if module.device.type == "cuda":
            torch.cuda.synchronize(module.device)
        self.seconds, self.batches = time.perf_counter() - self.start, self.batches + 1
        trainer.should_stop = self.batches >= BATCHES


class Rehearsal(TrainingCLI):
    """A run that stops after its first batches; losses that begin later take part in them.

    Args:
        args: The options of ``fit``.
    """

    def __init__(self, args: list[str]) -> None:
        self.watch = Watch()
        log = logging.getLogger("lightning.pytorch")
        level = log.level
        log.setLevel(logging.ERROR)
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        try:
            with warnings.catch_warnings(action="ignore"):
                super().__init__([
                    "fit", *args, "--trainer.limit_val_batches", "1",
                    "--trainer.enable_progress_bar", "false",
                    "--trainer.enable_model_summary", "false",
                ])  # fmt: skip
        finally:
            log.setLevel(level)

    def before_fit(self) -> None:
        """Let all losses begin at once."""
        super().before_fit()
        for name in [name for name in vars(self.model) if name.endswith("_start")]:
            setattr(self.model, name, 0)

    def has_tokenizer_of(self, run: str) -> bool:
        """Whether the codec's tokenizer is the result of the run of this name."""
        tokenizer = self.config["fit"].get("model.init_args.codec.init_args.tokenizer")
        return tokenizer is not None and run in Path(tokenizer).resolve().parts

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        trainer: Any = super().instantiate_trainer(**kwargs)
        trainer.callbacks.append(self.watch)
        return trainer

    def summary(self) -> str:
        """Parameters, the largest memory so far, and seconds per batch and for the whole run."""
        count = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        seconds, steps = self.watch.seconds, self.trainer.global_step / self.watch.batches
        text = f"{count / 1e6:.2f} M parameters, {memory():.1f} GiB, {seconds:.2g} s per batch"
        if self.trainer.max_steps > 0:
            minutes = self.trainer.max_steps / steps * seconds / 60
            text += f", about {minutes:.0f} minutes for {self.trainer.max_steps} steps"
        return text


def memory() -> float:
    """GiB: the most that was in use, on the GPU if there is one."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
