"""The temperature of a policy as one parameter with a learning rate of its own."""

import torch
from torch import Tensor, nn


class LogitScale:
    """A factor on all logits, an inverse temperature, that is learned and folded into a model.

    What rewards favour first is often a sharper distribution. For the weights of a model that is a
    long way at the small steps that noisy gradients allow; for one parameter it is short. Between
    two steps the factor is 1: each step of the optimizer goes into the gains, so that samplers,
    checkpoints and exports know nothing of it.

    Args:
        gains: Parameters that all logits are proportional to, such as the gains of the last norm.
    """

    def __init__(self, gains: nn.Parameter) -> None:
        self.gains = gains
        self.log = nn.Parameter(torch.zeros((), device=gains.device))

    @torch.no_grad()
    def take_slope(self) -> None:
        """Set the gradient of the factor's logarithm, the gains' gradient along the gains."""
        self.log.grad = (self.gains.grad * self.gains).sum()

    @torch.no_grad()
    def fold(self) -> Tensor:
        """Move the factor into the gains; what it was."""
        factor = self.log.exp()
        self.gains.mul_(factor)
        self.log.zero_()
        return factor
