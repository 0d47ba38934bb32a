"""How rewards of frames or patches become the return of a prediction, and of its tokens."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class FrameCredit:
    """Which frames count how much, and whose tokens they train.

    Args:
        frames: What a prediction is worth: the ``mean`` over its frames, that of the ``last`` one,
            or a mean that counts frame t (from 0) ``discount ** t`` times.
        discount: Factor from frame to frame, for ``discount``.
        per_frame: Train the tokens of each frame on what it and the later frames are worth, rather
            than all tokens on what all frames are worth: earlier frames are no doing of theirs.
        per_patch: With ``per_frame``: train each token on what these frames are worth around its
            own patch, 3 x 3 patches, rather than everywhere.
    """

    frames: Literal["mean", "last", "discount"] = "mean"
    discount: float = 0.9
    per_frame: bool = False
    per_patch: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.discount <= 1:
            raise ValueError(f"discount must be above 0 and at most 1, got {self.discount}")
        if self.per_patch and not self.per_frame:
            raise ValueError("per_patch is credit within frames: it needs per_frame, too")

    def worth(self, rewards: Tensor) -> Tensor:
        """What predictions are worth, [N], from rewards [N, F] or, by patch, [N, F, h, w]."""
        return self.ahead(rewards)[:, 0].reshape(len(rewards), -1).mean(dim=1)

    def returns(self, rewards: Tensor) -> Tensor:
        """The returns that tokens are trained on: of predictions, of frames or of patches.

        Args:
            rewards: Those of frames, [N, F], or with ``per_patch`` of their patches, [N, F, h, w].

        Returns:
            [N, 1], [N, F] or [N, F * h * w].
        """
        if not self.per_frame:
            return self.worth(rewards)[:, None]
        if self.per_patch:
            rewards = F.avg_pool2d(rewards, 3, stride=1, padding=1, count_include_pad=False)
        return self.ahead(rewards).flatten(1)

    def ahead(self, rewards: Tensor) -> Tensor:
        """The weighted mean over each frame and the later ones, shaped as rewards [N, F, ...]."""
        count = rewards.shape[1]
        places = torch.arange(count, device=rewards.device)
        distance = places - places[:, None]  # [F, F], frames from the row's frame to the column's
        weights = (distance >= 0).to(rewards.dtype)
        if self.frames == "last":
            weights[:, :-1] = 0
        elif self.frames == "discount":
            weights = weights * self.discount ** distance.clamp(min=0)
        weights = weights / weights.sum(dim=1, keepdim=True)
        return torch.einsum("nf...,tf->nt...", rewards, weights)


def per_token(values: Tensor, target_mask: Tensor) -> Tensor:
    """Values [N, F] of equally long parts at the predicted positions of each, [N, T]; 0 elsewhere.

    Args:
        values: One value for each predicted frame, or for each patch of each.
        target_mask: The predicted positions, [N, T] bool, as many for each part.
    """
    tokens = target_mask.sum(dim=1, keepdim=True) // values.shape[1]
    parts = (target_mask.cumsum(dim=1) - 1).clamp(min=0) // tokens
    return values.gather(1, parts) * target_mask
