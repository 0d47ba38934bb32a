"""The temperature of a policy: what all weights make it, or a parameter with a rate of its own."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from rlvr_world.nn.gains import Gains
from rlvr_world.rl.budget import check_positive


class WeightsTemperature:
    """The temperature changes only as all weights do.

    ``step`` takes a step of an optimizer, or of what Lightning wraps around it, and returns what to
    log of the temperature.
    """

    def add_to(self, optimizer: Optimizer) -> None:
        """Add the parameter of the temperature to an optimizer: there is none."""

    def step(self, optimizer: Any) -> dict[str, Tensor]:
        optimizer.step()
        return {}


class OwnTemperature(WeightsTemperature):
    """A factor on all logits, an inverse temperature, that is learned and folded into a model.

    What rewards favour first is often a sharper distribution. For the weights of a model that is a
    long way at the small steps that noisy gradients allow; for one parameter it is short. Between
    two steps the factor is 1: each step of the optimizer goes into the gains, to which all logits
    are proportional, so that samplers, checkpoints and exports know nothing of it. ``lr`` is the
    learning rate of its logarithm.
    """

    def __init__(self, gains: Gains, lr: float) -> None:
        check_positive(temperature_lr=lr)
        self.gains = gains
        self.lr = lr
        self.log = nn.Parameter(torch.zeros((), device=gains.parameters[0].device))

    def add_to(self, optimizer: Optimizer) -> None:
        optimizer.add_param_group({"params": [self.log], "lr": self.lr, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, optimizer: Any) -> dict[str, Tensor]:
        """Step the optimizer and move the factor into the gains; the factor, to be logged."""
        self.log.grad = self.gains.slope().to(self.log.dtype)
        optimizer.step()
        factor = self.log.exp()
        self.gains.scale(factor)
        self.log.zero_()
        return {"logit_scale_change": factor}
