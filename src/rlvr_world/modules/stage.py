"""What the three stages of training share: optimizer, starting weights and provenance."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning import LightningModule
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.strategies import ParallelStrategy, Strategy
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers import SchedulerType, get_scheduler

from rlvr_world import __version__
from rlvr_world.files import sha256
from rlvr_world.modules.checkpoint import (
    check_matching,
    code_commit,
    load_checkpoint,
    load_matching,
    plain,
)
from rlvr_world.modules.progress import go_to_last_step, start_there
from rlvr_world.modules.sharding import check_strategy
from rlvr_world.modules.skipped_steps import SkippedSteps, are_finite
from rlvr_world.types import Batch

SYNCED = ("broadcast_buffers", "forward_sync_buffers")
"""By which of them DDP sends buffers depends on PyTorch's version."""


class Stage(LightningModule):
    """One stage of training.

    Its checkpoints hold plain data only, and say where they come from (``provenance``). An
    optimizer step whose loss or gradient is not finite is skipped, on all ranks alike. A run that
    is resumed goes on with the optimizer's and the schedule's settings that it is given now, and
    the randomness of a batch depends on its number, the rank and the run's seed alone.

    Args:
        optimizer: Constructor of the optimizer, given the parameters.
        schedule: Learning-rate schedule by its name in ``transformers.get_scheduler``.
        warmup_steps: Optimizer steps over which the learning rate rises from 0.
        weights: Checkpoint of the previous stage to start from. Read when ``fit`` starts; a resumed
            run takes its weights from its own checkpoint instead.
        max_skipped_steps: The run ends after so many skipped optimizer steps in a row.
    """

    monitor: ClassVar[str | None] = None
    """The metric that chooses the best checkpoint; without one only the last is kept."""

    monitor_mode: ClassVar[str] = "min"
    """Whether a lower or a higher value is better: ``min`` or ``max``."""

    def __init__(
        self,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        schedule: str = "constant_with_warmup",
        warmup_steps: int = 0,
        weights: Path | None = None,
        max_skipped_steps: int = 10,
    ) -> None:
        super().__init__()
        known = [each.value for each in SchedulerType]
        if schedule not in known:
            raise ValueError(f"schedule: there is no {schedule}, only {', '.join(known)}")
        if warmup_steps < 0:
            raise ValueError(f"warmup_steps must not be negative, got {warmup_steps}")
        self.optimizer = optimizer
        self.schedule = schedule
        self.warmup_steps = warmup_steps
        self.weights = weights
        self.parent: dict[str, Any] | None = None
        self.skips = SkippedSteps(max_skipped_steps)
        self.loss_is_finite = torch.tensor(True)
        self.resumed: list[str] | None = None
        self.synced: dict[str, Any] = {}
        self.asked: list[list[dict[str, Any]]] = []
        self.run_seed = 0

    def setup(self, stage: str) -> None:
        check_strategy(self, self.strategy)
        if stage == "fit" and self.weights is not None:
            self.load_weights(self.weights)

    def load_weights(self, path: Path) -> None:
        """Start from the weights of a checkpoint of the previous stage.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The checkpoint does not fit this model.
        """
        checkpoint = load_checkpoint(path)
        self.check_compatible(checkpoint, path)
        load_matching(self, checkpoint["state_dict"], path)
        self.parent = {"path": str(path), "sha256": sha256(path)}
        before = checkpoint.get("provenance", {}).get("parent")
        if isinstance(before, dict) and "split" in before:
            self.parent["split"] = before["split"]

    @property
    def is_trained(self) -> bool:
        """Whether the weights of a new module have learnt something already."""
        return False

    @property
    def strategy(self) -> Strategy | None:
        """How the trainer spreads the work over ranks; None without a trainer."""
        return self.trainer.strategy if self._trainer else None

    @property
    def batches_seen(self) -> int:
        """Training batches before the present one, also after a resume."""
        return self.trainer.fit_loop.total_batch_idx

    def over_ranks(self, value: Tensor) -> Tensor:
        """The mean of a number over all ranks, as float32; the number itself without a trainer."""
        if self._trainer is None:
            return value.detach().float()
        return self.trainer.strategy.reduce(value.detach().clone().float(), reduce_op="mean")

    def synchronised(self, now: bool) -> AbstractContextManager[Any]:
        """Whether a backward pass within adds the gradients of all ranks up.

        That is done once per optimizer step, in its last backward pass.
        """
        strategy = self.trainer.strategy
        if now or not isinstance(strategy, ParallelStrategy):
            return nullcontext()
        return strategy.block_backward_sync()

    def check_compatible(self, checkpoint: dict[str, Any], path: Path) -> None:
        """Raise ``ValueError`` if ``checkpoint`` was made for something else."""

    def new_optimizer(self) -> Optimizer:
        """The optimizer of all parameters that are trained.

        Raises:
            ValueError: Its settings cannot be.
        """
        try:
            return self.optimizer(p for p in self.parameters() if p.requires_grad)
        except ValueError as error:
            raise ValueError(f"optimizer: {error}") from error

    def configure_optimizers(self) -> Any:
        optimizer = self.new_optimizer()
        return {"optimizer": optimizer, "lr_scheduler": self.scheduled(optimizer)}

    def scheduled(self, optimizer: Optimizer) -> dict[str, Any]:
        """The learning-rate schedule over the whole run, stepped with the optimizer."""
        total = self.trainer.estimated_stepping_batches
        scheduler = get_scheduler(
            self.schedule,
            optimizer,
            self.warmup_steps,
            int(total) if total != float("inf") else None,
        )
        return {"scheduler": scheduler, "interval": "step"}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        keys = ", ".join(map(str, batch["key"][:3])) if "key" in batch else f"batch {batch_idx}"
        self.skips.cause = f"the loss or the gradient is not finite at {keys} ..."
        torch.manual_seed(hash((self.run_seed, self.global_rank, self.batches_seen)) % 2**63)

    def on_before_backward(self, loss: Tensor) -> None:
        self.loss_is_finite = self.loss_is_finite.to(loss.device) & loss.detach().isfinite()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Take the gradients away, so that the step does nothing, if one is not finite."""
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            return  # which skips such steps itself
        trained = [p for group in optimizer.param_groups for p in group["params"]]
        gradients = [p.grad for p in trained if p.grad is not None]
        is_sound = self.loss_is_finite & are_finite(gradients).to(self.loss_is_finite.device)
        self.loss_is_finite = torch.ones_like(self.loss_is_finite)
        faults = float(self.trainer.strategy.reduce((~is_sound).float(), reduce_op="sum"))
        if faults:
            for parameter in trained:
                parameter.grad = None
        self.skips.note(not faults)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self.log("train/skipped_steps", float(self.skips.total))

    def on_fit_start(self) -> None:
        """Refuse to resume with other optimizers; remember the seed and their settings."""
        now = [described(optimizer) for optimizer in self.trainer.optimizers]
        if self.resumed is not None and self.resumed != now:
            raise ValueError(
                f"{self.trainer.ckpt_path}: trained by {', '.join(self.resumed)}, which is to go "
                f"on as {', '.join(now)}; give the same optimizer, or start from its `weights`"
            )
        self.run_seed = torch.initial_seed()
        self.asked = [
            [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
            for optimizer in self.trainer.optimizers
        ]

    def on_train_start(self) -> None:
        """Let what is asked count more than what the checkpoint of a resumed run says."""
        if self.resumed is None:
            return
        start_there(self.trainer)
        for optimizer, groups in zip(self.trainer.optimizers, self.asked, strict=True):
            for group, asked in zip(optimizer.param_groups, groups, strict=True):
                change = asked["initial_lr"] / group["initial_lr"] if group["initial_lr"] else 1.0
                group |= asked | {"lr": group["lr"] * change}
        for config in self.trainer.lr_scheduler_configs:
            scheduler: Any = config.scheduler
            groups = scheduler.optimizer.param_groups
            scheduler.base_lrs = [group["initial_lr"] for group in groups]
            if isinstance(scheduler, LambdaLR):
                for group, factor in zip(groups, scheduler.lr_lambdas, strict=True):
                    group["lr"] = group["initial_lr"] * factor(scheduler.last_epoch)

    def on_validation_start(self) -> None:
        """Let ranks that have more batches than others go on without them.

        DDP would have the buffers of rank 0 sent to all in each of its forward passes.
        """
        model = self.trainer.strategy.model
        if isinstance(model, DistributedDataParallel):
            self.synced = {name: vars(model)[name] for name in SYNCED if name in vars(model)}
            vars(model).update(dict.fromkeys(self.synced, False))

    def on_validation_end(self) -> None:
        model = self.trainer.strategy.model
        if isinstance(model, DistributedDataParallel):
            vars(model).update(self.synced)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        arguments = plain(dict(checkpoint.pop(self.CHECKPOINT_HYPER_PARAMS_KEY, {})))
        if arguments is not None:
            checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY] = arguments
        checkpoint["provenance"] = {
            "stage": type(self).__name__,
            "version": __version__,
            "commit": code_commit(),
            "parent": self.parent,
            "data": getattr(getattr(self.trainer, "datamodule", None), "fingerprint", None),
            "optimizers": [described(optimizer) for optimizer in self.trainer.optimizers],
            "skipped_steps": self.skips.total,
            "accumulated_batches": self.trainer.accumulate_grad_batches,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        path = Path((self._trainer and self.trainer.ckpt_path) or "the checkpoint")
        self.check_compatible(checkpoint, path)
        check_matching(self, checkpoint["state_dict"], path)
        if self._trainer is None or self.trainer.state.fn != TrainerFn.FITTING:
            return
        provenance = checkpoint.get("provenance", {})
        stage = provenance.get("stage", type(self).__name__)
        if stage != type(self).__name__:
            raise ValueError(
                f"{path}: a checkpoint of {stage}, from which {type(self).__name__} cannot be "
                "resumed; to start from its weights, give it as model.weights"
            )
        if "loops" not in checkpoint:
            raise ValueError(
                f"{path}: holds weights alone, from which no run can be resumed; to start from "
                "them, give it as model.weights"
            )
        self.resumed = provenance.get("optimizers")
        accumulated = provenance.get("accumulated_batches", 1)
        go_to_last_step(checkpoint["loops"]["fit_loop"], accumulated, self.trainer)
        self.skips.total = provenance.get("skipped_steps", 0)


def described(optimizer: Optimizer) -> str:
    """The class of an optimizer and the number of parameters in each of its groups."""
    sizes = " + ".join(str(len(group["params"])) for group in optimizer.param_groups)
    return f"{type(optimizer).__name__} of {sizes} parameters"
