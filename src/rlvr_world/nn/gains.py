"""The parameters whose factor is a factor on all logits of a model."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from rlvr_world.nn.sharding import gathered


class Gains:
    """Parameters that all logits are proportional to, after ``offset`` is added to each.

    Args:
        parameters: Such as the weight of the last norm.
        offset: 1 for norms that multiply by one plus their weight, else 0.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], offset: float = 0.0) -> None:
        self.parameters = parameters
        self.offset = offset

    def learn(self) -> None:
        """Train them, in float32, also where the weights around them are frozen."""
        for parameter in self.parameters:
            parameter.requires_grad_(True)
            parameter.data = parameter.data.float()

    def slope(self) -> Tensor:
        """The derivative of the loss by the logarithm of the logits' factor."""
        slopes = []
        for parameter in self.parameters:
            assert parameter.grad is not None
            slopes.append(gathered((parameter.grad * (parameter + self.offset)).sum()))
        return torch.stack(slopes).sum()

    def scale(self, factor: Tensor) -> None:
        """Multiply all logits by a factor."""
        for parameter in self.parameters:
            parameter.mul_(factor)
            if self.offset:
                parameter.add_((factor - 1) * self.offset)


def norm_gains(norm: nn.Module) -> Gains | None:
    """The gains of a norm, which end as its output does; None if its weights do not scale that."""
    own = dict(norm.named_parameters(recurse=False))
    if not own:
        return None
    width = next(iter(own.values())).shape[-1]
    x = torch.linspace(-1.0, 1.0, width)[None, None]

    def output(value: float) -> Tensor:
        return functional_call(norm, {n: torch.full(p.shape, value) for n, p in own.items()}, x)

    with torch.no_grad():
        zero, one, two = output(0.0), output(1.0), output(2.0)
    for offset in (0.0, 1.0):
        expected = one * offset / (1 + offset), one * (2 + offset) / (1 + offset)
        if torch.allclose(zero, expected[0]) and torch.allclose(two, expected[1]):
            return Gains(list(own.values()), offset)
    return None
