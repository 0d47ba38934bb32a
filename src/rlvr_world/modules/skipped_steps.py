"""Optimizer steps that are left out, since nothing can be learnt from them."""

import warnings
from collections.abc import Iterable

import torch
from torch import Tensor

from rlvr_world.nn.sharding import gathered


class TooManySkips(ValueError):
    """Training stopped; the weights are those of the last good step."""


class SkippedSteps:
    """Counts the optimizer steps whose loss or gradient was not finite.

    Args:
        limit: As many in a row end the run.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"max_skipped_steps must be at least 1, got {limit}")
        self.limit = limit
        self.total = self.in_a_row = 0
        self.cause = ""

    def note(self, is_sound: bool) -> None:
        """Count one step.

        Raises:
            TooManySkips: It is the last one that may be left out.
        """
        self.in_a_row = 0 if is_sound else self.in_a_row + 1
        self.total += not is_sound
        if is_sound:
            return
        warnings.warn(f"an optimizer step is skipped: {self.cause}", stacklevel=2)
        if self.in_a_row >= self.limit:
            raise TooManySkips(
                f"{self.in_a_row} optimizer steps in a row had to be skipped, the last since "
                f"{self.cause}; the weights are those of the last good step: lower the learning "
                "rate, correct the reward, or leave out the sample (max_skipped_steps is "
                f"{self.limit})"
            )


def are_finite(gradients: Iterable[Tensor]) -> Tensor:
    """Whether all numbers are finite, a bool tensor that is not waited for."""
    return gathered(torch.nn.utils.get_total_norm(gradients)).isfinite()
