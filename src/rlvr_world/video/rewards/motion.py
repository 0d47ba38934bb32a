"""Rewards for how predicted frames follow one another: repetition and motion.

They look at pairs of neighbouring predicted frames, so a prediction needs at least two frames. A
pair is credited to its later frame; the first predicted frame has none.
"""

from abc import abstractmethod
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from rlvr_world.reward import Reward, group_size
from rlvr_world.types import WHOLE, Batch, Detail
from rlvr_world.video.rewards.frames import VideoReward, check_frames

Pairs = Literal["all", "last"]

IDENTICAL = 0.005
"""Frames no pixel of which differs by more show the same: rounding of a bfloat16 decoder."""


class PairReward(VideoReward):
    """A metric of neighbouring predicted frames; a sample scores the mean over its pairs."""

    @abstractmethod
    def pair_score(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The metric of each pair, [B, F - 1], of float32 frames [B, F, C, H, W] in [0, 1]."""

    def frame_scores(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The metric of each frame with the one before it, [B * G, F]; 0 for the first one."""
        if prediction.shape[1] < 2:
            raise ValueError(f"{self.label} needs at least 2 predicted frames; lengthen the clips")
        members = prediction.unflatten(0, (-1, group_size(prediction, target))).float()
        scores = [self.pair_score(each, target.float()) for each in members.unbind(1)]
        return F.pad(torch.stack(scores, dim=1).flatten(0, 1), (1, 0))

    def sample_scores(self, frame_scores: Tensor) -> Tensor:
        return frame_scores[:, 1:].mean(dim=1)


class Repetition(PairReward):
    """The share of predicted frames that show exactly what the frame before them shows.

    Frames of the same tokens are decoded to the same pixels, so this is how often a model repeats
    itself. With all pairs it is, as a reward, the paper's penalty: the negative rate of consecutive
    identical frames. With the last pair its mean over predictions is the repetition rate by the
    criterion of the released code (Table 3).

    Args:
        pairs: ``all`` neighbours, or only the ``last`` two frames.
    """

    higher_is_better = False

    def __init__(self, weight: float = 1.0, pairs: Pairs = "all") -> None:
        super().__init__(weight)
        self.pairs = pairs

    @property
    def label(self) -> str:
        return f"Repetition ({self.pairs})"

    def pair_score(self, prediction: Tensor, target: Tensor) -> Tensor:
        change = prediction.diff(dim=1).abs().flatten(2).amax(dim=2)
        return (change <= IDENTICAL).float()

    def sample_scores(self, frame_scores: Tensor) -> Tensor:
        return frame_scores[:, -1] if self.pairs == "last" else super().sample_scores(frame_scores)


class Standstill(PairReward):
    """The share of pairs in which the truth moves and the prediction (almost) does not.

    A frame moves by the largest mean change over a patch. The share cannot pass that of pairs in
    which the truth moves, which is the score of a repeated frame (the row ``copy_last``).

    Args:
        moving: The least change, in [0, 1], by which the truth moves.
        still: The most change by which the prediction stands still.
        patch: Side of a patch in pixels.
    """

    higher_is_better = False

    def __init__(
        self, weight: float = 1.0, moving: float = 0.02, still: float = 0.005, patch: int = 8
    ) -> None:
        super().__init__(weight)
        self.moving = moving
        self.still = still
        self.patch = patch

    def pair_score(self, prediction: Tensor, target: Tensor) -> Tensor:
        mine, true = (motion(x, self.patch).flatten(2).amax(2) for x in (prediction, target))
        return ((true >= self.moving) & (mine <= self.still)).float()


class FrameDifferenceError(PairReward):
    """Mean absolute error of the change from frame to frame.

    What is wrong with all frames alike, such as the background of the tokenizer, does not count.
    """

    higher_is_better = False

    def pair_score(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction.diff(dim=1) - target.diff(dim=1)).abs().flatten(2).mean(dim=2)


class MotionError(PairReward):
    """How much of the motion of prediction and truth is in different places, without optical flow.

    The motion of a patch is its mean absolute change from frame to frame. The error is the sum over
    patches of the difference in motion, over the sum of both motions (Bray and Curtis 1957): 0 for
    the same motion, 1 where only one of both moves, or where they move in different patches.

    Args:
        patch: Side of a patch in pixels; motion may be misplaced within it.
        floor: Mean motion, in [0, 1], below which motion counts less, so that noise in a still
            clip is no error.
    """

    higher_is_better = False

    def __init__(self, weight: float = 1.0, patch: int = 8, floor: float = 1e-3) -> None:
        super().__init__(weight)
        self.patch = patch
        self.floor = floor

    def pair_score(self, prediction: Tensor, target: Tensor) -> Tensor:
        mine, true = (motion(x, self.patch).flatten(2) for x in (prediction, target))
        both = mine.mean(dim=2) + true.mean(dim=2)
        return (mine - true).abs().mean(dim=2) / (both + self.floor)


class MovingMSE(Reward):
    """Mean squared error over the pixels in which the truth differs from the last given frame.

    What an action moves is often small, so that a mean over all pixels hardly counts it. A frame
    in which nothing moves scores 0.

    Args:
        weight: Factor in the total reward.
        threshold: The least change of a colour channel, in [0, 1], of a pixel that moves.
    """

    higher_is_better = False

    def __init__(self, weight: float = 1.0, threshold: float = 0.05) -> None:
        super().__init__(weight)
        self.threshold = threshold

    def score(self, prediction: Tensor, target: Tensor, given: Batch) -> Tensor:
        return self.scores(prediction, target, given)

    def scores(
        self, prediction: Tensor, target: Tensor, given: Batch, detail: Detail = WHOLE
    ) -> Tensor:
        check_frames(self.label, prediction, target)
        if not {"frames", "actions"} <= given.keys():
            raise ValueError(
                f"{self.label}: looks at the given frames and actions, which are not known here; "
                "take another metric, such as MSE"
            )
        before = given["actions"].shape[1] - target.shape[1]  # of as many actions as frames
        last = given["frames"][:, before - 1, None].float() / 255  # [B, 1, C, H, W]
        moving = ((target - last).abs().amax(dim=2) > self.threshold).float()  # [B, F, H, W]
        share = moving.mean(dim=(-2, -1), keepdim=True).clamp(min=1e-9)
        members = prediction.unflatten(0, (-1, group_size(prediction, target))).float()
        error = (members - target.float()[:, None]).square().mean(dim=3)  # [B, G, F, H, W]
        error = (error * (moving / share)[:, None]).flatten(0, 1)
        if detail.by == "patch":
            return F.adaptive_avg_pool2d(error, (detail.grid[0], detail.grid[1]))
        by_frame = error.mean(dim=(-2, -1))
        return by_frame if detail.by == "frame" else by_frame.mean(dim=1)


def motion(frames: Tensor, patch: int) -> Tensor:
    """The mean absolute change of each patch of frames [B, F, C, H, W], [B, F - 1, h, w]."""
    change = frames.diff(dim=1).abs().mean(dim=2)
    side = min(patch, *change.shape[-2:])
    return F.avg_pool2d(change, side, ceil_mode=True)
