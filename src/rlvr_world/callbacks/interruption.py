"""Runs that are asked to stop: by SIGTERM, as schedulers do, by Ctrl-C, or to be queued again."""

import os
import shlex
import signal
import threading
import time
from pathlib import Path
from subprocess import Popen, SubprocessError, TimeoutExpired, run
from types import FrameType
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from rlvr_world.modules.skipped_steps import TooManySkips

SIGNALS = (signal.SIGTERM, signal.SIGINT)
GRACE = 5.0
"""Seconds that other ranks have to end by themselves."""


class Interrupted(SystemExit):
    """A run was asked to stop; its code is 128 and the signal's number, as shells have it."""


class Interruption(Callback):
    """Saves a run that is asked to stop, after the batch that it is at, and says how to resume it.

    The process ends with code 143 after SIGTERM and 130 after Ctrl-C, so that a script does not go
    on as if the run was complete. A second signal ends it at once.

    Under SLURM, where Lightning's ``SLURMEnvironment`` asks for it, ``requeue_signal`` (SIGUSR1)
    also queues the job again. Lightning would save at once, in the midst of a step, and go on.

    Args:
        checkpoint: Where the run is saved; nowhere if not given.
    """

    def __init__(self, checkpoint: Path | None = None) -> None:
        self.checkpoint = checkpoint
        self.asked = 0
        self.is_fit = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the place of Lightning's handler of SIGTERM, which it is about to install.

        That one waits within the handler for the other ranks, for ever if they got no signal. When
        a run ends, in whatever way, Lightning lets signals do what they did before.
        """
        self.asked, self.is_fit = 0, stage == "fit"
        vars(trainer._signal_connector)["_sigterm_notifier_fn"] = self.note

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Watch for Ctrl-C and for SLURM, too; only the main thread may."""
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and not self.asked:
            for each in SIGNALS + requeue_signals(trainer):
                signal.signal(each, self.note)

    on_train_start = on_sanity_check_start

    def note(self, number: int, frame: FrameType | None) -> None:
        """Remember the first signal; a second one ends the process.

        Raises:
            SystemExit: This is no training, so that there is nothing to save.
        """
        self.asked = number
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        if not self.is_fit:
            raise SystemExit(128 + number)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop after a batch, but not between batches whose gradients are accumulated."""
        is_whole = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if is_whole or trainer.is_last_batch:
            self.stop_if_asked(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Stop within a validation, too, unless other ranks may have fewer batches of it."""
        if trainer.world_size == 1:
            self.stop_if_asked(trainer)

    def stop_if_asked(self, trainer: Trainer) -> None:
        """Stop all ranks if one of them was asked to.

        Raises:
            Interrupted: Some rank was.
        """
        if number := self.asked_of_any(trainer):
            raise Interrupted(128 + number)

    def asked_of_any(self, trainer: Trainer) -> int:
        """The signal that some rank has got, or 0; all ranks must ask for it."""
        if trainer.world_size == 1:
            return self.asked
        asked = torch.tensor(float(self.asked), device=trainer.strategy.root_device)
        return int(trainer.strategy.reduce(asked, reduce_op="max"))

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Save the weights if they are sound and between two optimizer steps; end all ranks."""
        if trainer.world_size > 1:
            exception.add_note(f"on rank {trainer.global_rank} of {trainer.world_size}")
        is_sound = isinstance(exception, Interrupted | TooManySkips)
        if is_sound and self.checkpoint is not None and not trainer.sanity_checking:
            callbacks: list[Callback] = getattr(trainer, "callbacks", [])
            for callback in callbacks:
                if trainer.validating and isinstance(callback, WeightAveraging):
                    callback.on_validation_epoch_end(trainer, pl_module)  # takes its weights back
            trainer.save_checkpoint(self.checkpoint)
            saved = shlex.quote(str(self.checkpoint))
            rank_zero_info(f"The run is saved; go on with the option --ckpt_path {saved}")
            asks_again = isinstance(exception, Interrupted) and exception.code in [
                128 + each for each in requeue_signals(trainer)
            ]
            if asks_again and trainer.is_global_zero:
                requeue()
        end_processes(getattr(trainer.strategy.launcher, "procs", []))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let nothing follow on a run that was complete before it could stop."""
        if number := self.asked_of_any(trainer):
            raise SystemExit(128 + number)


def requeue_signals(trainer: Trainer) -> tuple[int, ...]:
    """The signal after which SLURM is to run this job again; none elsewhere."""
    environment = trainer._accelerator_connector.cluster_environment
    if not isinstance(environment, SLURMEnvironment) or not environment.auto_requeue:
        return ()
    return () if environment.requeue_signal is None else (environment.requeue_signal,)


def requeue() -> None:
    """Let SLURM run this job again from its beginning."""
    job, array = os.environ["SLURM_JOB_ID"], os.environ.get("SLURM_ARRAY_JOB_ID")
    if array is not None:
        job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        run(["scontrol", "requeue", job], check=True, timeout=60)
        rank_zero_info(f"The job {job} is queued again")
    except (OSError, SubprocessError) as error:
        rank_zero_warn(f"the job {job} could not be queued again, submit it anew: {error}")


def end_processes(others: list[Popen[bytes]]) -> None:
    """Let the other ranks that this process has started end, then kill those that do not.

    They may wait for this one. The list is emptied, since Lightning kills this process, too, when
    one on the list fails.
    """
    processes, others[:] = list(others), []
    deadline = time.monotonic() + GRACE
    for process in processes:
        try:
            process.wait(max(deadline - time.monotonic(), 0))
        except TimeoutExpired:
            process.kill()
            process.wait()
