"""What runs beside every stage unless its config says otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lightning import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, Timer
from lightning.pytorch.utilities.model_helpers import is_overridden

from rlvr_world.callbacks.gradient_norm import GradientNorm
from rlvr_world.callbacks.interruption import Interruption
from rlvr_world.callbacks.reward_monitor import RewardMonitor
from rlvr_world.callbacks.throughput import Throughput


class LastCheckpoint(ModelCheckpoint):
    """Also keeps the state at the end of each epoch, be it cut short by ``max_steps``."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save it, unless this step is saved already."""
        super().on_train_epoch_end(trainer, pl_module)
        if not self._should_skip_saving_checkpoint(trainer):
            self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))


@dataclass(frozen=True)
class KeptBest:
    """The metric by which the best checkpoint is kept.

    Args:
        monitor: Its name in the logs.
        mode: Whether lower or higher is better.
        every_n_train_steps: Optimizer steps between two checkpoints, instead of each validation;
            a metric of validation is looked at after each of these all the same.
    """

    monitor: str
    mode: Literal["min", "max"] = "min"
    every_n_train_steps: int | None = None


def default_callbacks(
    module: LightningModule,
    data: LightningDataModule | None,
    trainer: Mapping[str, Any],
    checkpoints: Path,
    kept: KeptBest | None = None,
) -> list[Callback]:
    """Checkpoints, graceful stops, learning rate, gradient norm, speed and values of rewards.

    Args:
        module: What is trained. ``monitor`` and ``monitor_mode`` of its class choose the best
            checkpoint; ``rewards`` are watched.
        data: Its data module.
        trainer: The arguments of the trainer; a callback among them replaces the default of the
            same class.
        checkpoints: Folder of best.ckpt and last.ckpt.
        kept: What chooses the best checkpoint, instead of the module's attributes.
    """
    if trainer.get("barebones"):
        return []
    callbacks: list[Callback] = [GradientNorm(), Throughput()]
    if getattr(module, "rewards", None):
        callbacks.append(RewardMonitor())
    if not trainer.get("max_time"):
        callbacks.append(Timer())
    if trainer.get("logger") is not False:
        callbacks.append(LearningRateMonitor())
    keeps = trainer.get("enable_checkpointing") is not False
    callbacks.append(Interruption(checkpoints / "last.ckpt" if keeps else None))
    if keeps:
        monitored = validates(data, trainer) and (kept or kept_best(module))
        callbacks += checkpoint_callbacks(checkpoints, monitored or None)
    given = tuple(type(callback) for callback in listed(trainer.get("callbacks")))
    return [callback for callback in callbacks if not isinstance(callback, given)]


def checkpoint_callbacks(folder: Path, kept: KeptBest | None) -> list[ModelCheckpoint]:
    """What keeps best.ckpt and last.ckpt.

    The last state has a callback of its own: ``save_last`` of the best one's writes nothing while
    the monitored metric gets worse. A metric of validation is looked at after each validation,
    while the weights are those that it is of.
    """
    options: dict[str, Any] = {"dirpath": folder, "enable_version_counter": False}
    options["every_n_train_steps"] = kept and kept.every_n_train_steps
    last = LastCheckpoint(filename="last", **options)
    if kept is None:
        return [last]
    if kept.monitor.startswith("val/"):
        del options["every_n_train_steps"]
    best = ModelCheckpoint(filename="best", monitor=kept.monitor, mode=kept.mode, **options)
    return [best, last]


def kept_best(module: LightningModule) -> KeptBest | None:
    """The metric that a module names in its attributes ``monitor`` and ``monitor_mode``."""
    monitor = getattr(module, "monitor", None)
    return monitor and KeptBest(monitor, getattr(module, "monitor_mode", "min"))


def validates(data: LightningDataModule | None, trainer: Mapping[str, Any]) -> bool:
    """Whether a run has validation batches, without which nothing is monitored."""
    if trainer.get("limit_val_batches") == 0:
        return False
    return data is None or is_overridden("val_dataloader", data)


def listed(values: Any) -> list[Any]:
    """Those of a trainer's arguments that may be one, several or none."""
    if values is None:
        return []
    return list(values) if isinstance(values, list | tuple) else [values]
