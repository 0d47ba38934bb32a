"""Searches for action sequences of little cost: CEM, iCEM and MPPI, batched.

B problems, S candidates of each, H actions in a candidate, A dimensions of an action.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rlvr_world.rl.budget import check_positive

Cost = Callable[[Tensor], Tensor]
"""Costs [B, S] of candidates [B, S, H, A]."""


class Planner(ABC):
    """Draws candidates around a mean, and moves the mean to where the cost is low.

    Args:
        candidates: S.
        iterations: How often candidates are drawn.
        elites: How many of the best candidates the next mean comes from.
        spread: Standard deviation of the first candidates, as a share of each action's range.
        walk: Whether the deviation of each step adds to those of the steps before it: for actions
            that are places, which may lie the farther away the later they are.
    """

    def __init__(
        self,
        candidates: int = 64,
        iterations: int = 3,
        elites: int = 8,
        spread: float = 0.1,
        walk: bool = False,
    ) -> None:
        check_positive(candidates=candidates, iterations=iterations, elites=elites, spread=spread)
        if elites > candidates:
            raise ValueError(f"elites must be at most candidates {candidates}, got {elites}")
        self.candidates, self.iterations = candidates, iterations
        self.elites, self.spread, self.walk = elites, spread, walk

    def plan(
        self, cost: Cost, mean: Tensor, low: Tensor, high: Tensor, generator: torch.Generator
    ) -> Tensor:
        """The actions [B, H, A] that the search ends with.

        Args:
            cost: What is to be small.
            mean: The first mean, [B, H, A]; it is a candidate itself.
            low: The least actions, [A].
            high: The largest actions, [A].
            generator: Source of the candidates, on the device of the mean.
        """
        deviation = self.deviation(high - low, mean.shape[1]).expand_as(mean)
        kept = mean[:, None]  # candidates that are tried again
        for _ in range(self.iterations):
            shape = (len(mean), self.candidates - kept.shape[1], *mean.shape[1:])
            drawn = mean[:, None] + deviation[:, None] * self.steps(shape, generator)
            actions = torch.cat([kept, drawn], dim=1).clamp(low, high)
            costs = cost(actions)
            costs, order = costs.sort(dim=1, stable=True)
            actions = actions.gather(1, order[..., None, None].expand_as(actions))
            mean, deviation = self.update(actions, costs, deviation)
            kept = self.keep(actions, mean)
        return kept[:, 0]

    def deviation(self, ranges: Tensor, steps: int) -> Tensor:
        """The first candidates' standard deviation [H, A], from the ranges of actions [A]."""
        growth = torch.arange(1, steps + 1, device=ranges.device).sqrt()
        return self.spread * ranges * (growth if self.walk else torch.ones_like(growth))[:, None]

    def steps(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Standard normal numbers [B, S, H, A]; for a ``walk``, each like the one before."""
        noise = self.noise(shape, generator)
        growth = torch.arange(1, shape[2] + 1, device=noise.device).sqrt()
        return noise.cumsum(dim=2) / growth[:, None] if self.walk else noise

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Standard normal numbers [B, S, H, A]."""
        return torch.randn(shape, generator=generator, device=generator.device)

    @abstractmethod
    def update(self, actions: Tensor, costs: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
        """The next mean and standard deviation [B, H, A], from candidates sorted by their costs."""

    def keep(self, actions: Tensor, mean: Tensor) -> Tensor:
        """What is tried again, [B, K, H, A]; the first is the plan."""
        return mean[:, None]


class CEM(Planner):
    """The cross-entropy method: the next candidates are distributed as the elites are."""

    def update(self, actions: Tensor, costs: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
        best = actions[:, : self.elites]
        return best.mean(dim=1), best.std(dim=1, correction=0)


class ICEM(CEM):
    """Improved CEM: noise that is alike in neighbouring steps, elites tried again, the best taken.

    Args:
        colour: Exponent of the noise's spectrum, 0 for white noise.
        kept: Elites that are tried again.
        **search: See ``Planner``.
    """

    def __init__(self, colour: float = 2.0, kept: int = 3, **search: Any) -> None:
        super().__init__(**search)
        if not 1 <= kept <= self.elites:
            raise ValueError(f"kept must be from 1 to the {self.elites} elites, got {kept}")
        self.colour, self.kept = colour, kept

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        length = shape[2]
        spectrum = torch.fft.rfft(super().noise(shape, generator), dim=2)
        rates = torch.arange(spectrum.shape[2], device=spectrum.device).float().clamp(min=1)
        power = rates**-self.colour
        both = torch.full_like(power, 2)  # a rate stands for itself and for its mirror image
        both[0] = 1
        if length % 2 == 0:
            both[-1] = 1
        noise = torch.fft.irfft(spectrum * power.sqrt()[:, None], n=length, dim=2)
        return noise * (length / (both * power).sum()).sqrt()

    def keep(self, actions: Tensor, mean: Tensor) -> Tensor:
        return actions[:, : self.kept]


class MPPI(Planner):
    """Model predictive path integral: the mean of all candidates, the better the heavier.

    Args:
        temperature: Of the weights ``exp(-cost / temperature)``, in standard deviations of the
            costs of a problem's candidates.
        **search: See ``Planner``; ``elites`` does not count.
    """

    def __init__(self, temperature: float = 0.3, **search: Any) -> None:
        super().__init__(**search)
        check_positive(temperature=temperature)
        self.temperature = temperature

    def update(self, actions: Tensor, costs: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
        scale = costs.std(dim=1, keepdim=True, correction=0).clamp(min=1e-12)
        weights = (-(costs - costs[:, :1]) / (self.temperature * scale)).softmax(dim=1)
        return (weights[..., None, None] * actions).sum(dim=1), deviation
