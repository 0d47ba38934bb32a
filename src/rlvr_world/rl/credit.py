"""Credit: how rewards of frames or patches become the returns that tokens are trained on."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from rlvr_world.types import WHOLE, Detail


@dataclass(frozen=True)
class Credit:
    """What predictions are worth, and which tokens that trains.

    Args:
        to: What has a return of its own. All tokens of a ``prediction`` train on what its frames
            are worth; or those of each ``frame`` on what it and the later frames are worth, since
            earlier frames are no doing of theirs; or each token on what these frames are worth
            around its own ``patch``, 3 x 3 patches.
        frames: What a prediction of several frames is worth: the ``mean`` over them, that of the
            ``last`` one, or a mean that counts frame t (from 0) ``discount ** t`` times.
        discount: Factor from frame to frame, for ``discount``.
        samples: Weight of what tokens earned in the group's samples, which is GRPO.
        gradient: Weight of what all tokens would earn by the decoder's gradient, for tokens that
            are codes of pictures and rewards that are differentiable; see ``rl/gradient.py``.
    """

    to: Literal["prediction", "frame", "patch"] = "prediction"
    frames: Literal["mean", "last", "discount"] = "mean"
    discount: float = 0.9
    samples: float = 1.0
    gradient: float = 0.0

    def __post_init__(self) -> None:
        if min(self.samples, self.gradient) < 0 or self.samples + self.gradient == 0:
            raise ValueError("credit: samples and gradient must be at least 0, and one above 0")
        if not 0 < self.discount <= 1:
            raise ValueError(f"discount must be above 0 and at most 1, got {self.discount}")

    def detail(self, patch_grid: tuple[int, int] | None) -> Detail:
        """What rewards have to score; ``patch_grid`` is that of the codec."""
        if self.to == "patch":
            if patch_grid is None:
                raise ValueError("credit: `to: patch` is for codecs whose tokens lie in a grid")
            return Detail("patch", patch_grid)
        if self.to == "prediction" and self.frames == "mean":
            return WHOLE
        return Detail("frame")

    def worth(self, rewards: Tensor) -> Tensor:
        """What predictions are worth, [N], from rewards in the detail of ``detail``."""
        if rewards.ndim == 1:
            return rewards
        return self.ahead(rewards)[:, 0].reshape(len(rewards), -1).mean(dim=1)

    def own_worth(self, rewards: Tensor) -> Tensor:
        """What the frames that tokens themselves decode to add to their returns, summed, [N]."""
        if self.to == "prediction":
            return self.worth(rewards)
        own = self.ahead(torch.eye(rewards.shape[1], device=rewards.device)).diagonal()
        return rewards.flatten(2).mean(dim=2) @ own if rewards.ndim > 2 else rewards @ own

    def returns(self, rewards: Tensor) -> Tensor:
        """The returns that tokens are trained on: of predictions, of frames or of patches.

        From rewards of predictions [N], frames [N, F] or patches [N, F, h, w]; as [N, 1], [N, F] or
        [N, F * h * w], in the order of the tokens.
        """
        if self.to == "prediction":
            return self.worth(rewards)[:, None]
        if self.to == "patch":
            rewards = F.avg_pool2d(rewards, 3, stride=1, padding=1, count_include_pad=False)
        return self.ahead(rewards).flatten(1)

    def ahead(self, rewards: Tensor) -> Tensor:
        """The weighted mean over each frame and the later ones, shaped as rewards [N, F, ...]."""
        count = rewards.shape[1]
        frames = torch.arange(count, device=rewards.device)
        distance = frames - frames[:, None]  # [F, F], frames from the row's frame to the column's
        weights = (distance >= 0).to(rewards.dtype)
        if self.frames == "last":
            weights[:, :-1] = 0
        elif self.frames == "discount":
            weights = weights * self.discount ** distance.clamp(min=0)
        weights = weights / weights.sum(dim=1, keepdim=True)
        return torch.einsum("nf...,tf->nt...", rewards, weights)


def per_token(values: Tensor, target_mask: Tensor) -> Tensor:
    """Values [N, P] of P equally long parts at the predicted positions of each, [N, T], else 0.

    ``target_mask`` [N, T] holds at as many positions for each part. A single part's stay [N, 1].
    """
    if values.shape[1] == 1:
        return values
    tokens = target_mask.sum(dim=1, keepdim=True) // values.shape[1]
    parts = (target_mask.cumsum(dim=1) - 1).clamp(min=0) // tokens
    return values.gather(1, parts) * target_mask
