"""The size of gradients."""

from collections.abc import Iterable
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from rlvr_world.nn.sharding import gathered


class GradientNorm(Callback):
    """Logs the norm of the gradient before it is clipped, once for each training batch.

    The first optimizer's is ``train/gradient_norm``, the next one's ``train/gradient_norm-1``, as
    ``LearningRateMonitor`` names them. Under manual optimisation, where a module clips for itself,
    it is the gradient after the batch's last backward pass through the optimizer's parameters.
    """

    def __init__(self) -> None:
        self.norms: dict[int, Tensor] = {}

    def on_before_optimizer_step(
        self, trainer: Trainer, module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Measure under automatic optimisation, which clips after this hook."""
        if module.automatic_optimization:
            self.measure(trainer, [optimizer])

    def on_after_backward(self, trainer: Trainer, module: LightningModule) -> None:
        """Measure under manual optimisation, before the module clips."""
        if not module.automatic_optimization:
            self.measure(trainer, trainer.optimizers)

    def measure(self, trainer: Trainer, optimizers: Iterable[Optimizer]) -> None:
        """Keep the norms of optimizers whose parameters have gradients and are being trained."""
        for index, optimizer in enumerate(trainer.optimizers):
            gradients = [p.grad for p in parameters(optimizer) if p.grad is not None]
            if gradients and any(optimizer is each for each in optimizers):
                self.norms[index] = torch.nn.utils.get_total_norm(gradients)

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log the norms of the batch."""
        for index, norm in self.norms.items():
            module.log(f"train/gradient_norm{f'-{index}' if index else ''}", gathered(norm))
        self.norms = {}


def parameters(optimizer: Optimizer) -> Iterable[Tensor]:
    """The parameters of an optimizer that are not frozen at the moment."""
    for group in optimizer.param_groups:
        yield from (p for p in group["params"] if p.requires_grad)
