"""How rewards of single frames become the return of a prediction, and of each of its frames."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class FrameCredit:
    """Which frames count how much, and whose tokens they train.

    Args:
        frames: What a prediction is worth: the ``mean`` over its frames, that of the ``last`` one,
            or a mean that counts frame t (from 0) ``discount ** t`` times.
        discount: Factor from frame to frame, for ``discount``.
        per_frame: Train the tokens of each frame on what it and the later frames are worth, rather
            than all tokens on what all frames are worth: earlier frames are no doing of theirs.
    """

    frames: Literal["mean", "last", "discount"] = "mean"
    discount: float = 0.9
    per_frame: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.discount <= 1:
            raise ValueError(f"discount must be above 0 and at most 1, got {self.discount}")

    def returns(self, rewards: Tensor) -> Tensor:
        """Returns [N, F] of the frames, or [N, 1] of whole predictions, from rewards [N, F]."""
        count = rewards.shape[1]
        ahead = torch.arange(count, device=rewards.device)
        ahead = ahead - ahead[:, None]  # [F, F], frames from the row's frame to the column's
        weights = (ahead >= 0).to(rewards.dtype)
        if self.frames == "last":
            weights[:, :-1] = 0
        elif self.frames == "discount":
            weights = weights * self.discount ** ahead.clamp(min=0)
        returns = rewards @ (weights / weights.sum(dim=1, keepdim=True)).T
        return returns if self.per_frame else returns[:, :1]


def per_token(values: Tensor, target_mask: Tensor) -> Tensor:
    """Values [N, F] of equally long frames at the predicted positions of each, [N, T]; 0 elsewhere.

    Args:
        values: One value for each predicted frame.
        target_mask: The predicted positions, [N, T] bool, as many for each frame.
    """
    tokens = target_mask.sum(dim=1, keepdim=True) // values.shape[1]
    frames = (target_mask.cumsum(dim=1) - 1).clamp(min=0) // tokens
    return values.gather(1, frames) * target_mask
