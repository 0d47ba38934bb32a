"""Rewards for predicted frames, each averaged over the frames of a clip."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.image import structural_similarity_index_measure

from rlvr_world.frozen import Frozen
from rlvr_world.reward import Reward, group_size
from rlvr_world.types import WHOLE, Batch, Detail
from rlvr_world.video.lpips.lpips import PerceptualDistance
from rlvr_world.video.lpips.trunks import BackboneName


class VideoReward(Reward):
    """A metric of predicted frames; the score of a sample is the mean over its frames."""

    @abstractmethod
    def frame_scores(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The metric of each frame of B * G samples, [B * G, F], against their B targets.

        Both hold float frames [..., F, C, H, W] in [0, 1]; target b belongs to the samples b * G
        to b * G + G - 1.
        """

    def patch_scores(self, prediction: Tensor, target: Tensor, grid: Sequence[int]) -> Tensor:
        """The metric around each patch of the frames of B * G samples, [B * G, F, h, w].

        The mean over patches is the score of the frame, or nearly, where patches share places of a
        feature map. A metric that is not a sum over places has that score everywhere.

        Args:
            prediction: B * G samples, as in ``frame_scores``.
            target: B targets.
            grid: Number of patches over the height and the width of a frame.
        """
        scores = self.frame_scores(prediction, target)
        return scores[..., None, None].expand(*scores.shape, *grid)

    def sample_scores(self, frame_scores: Tensor) -> Tensor:
        """The score of each sample, [N], from those of its frames, [N, F]."""
        return frame_scores.mean(dim=1)

    def score(self, prediction: Tensor, target: Tensor, given: Batch | None = None) -> Tensor:
        return self.scores(prediction, target, given or {})

    def scores(
        self, prediction: Tensor, target: Tensor, given: Batch, detail: Detail = WHOLE
    ) -> Tensor:
        check_frames(self.label, prediction, target)
        if detail.by == "patch":
            return self.patch_scores(prediction, target, detail.grid)
        frame_scores = self.frame_scores(prediction, target)
        return frame_scores if detail.by == "frame" else self.sample_scores(frame_scores)


def check_frames(label: str, prediction: Tensor, target: Tensor) -> None:
    """Raise ``ValueError`` unless both are frames that a reward of this ``label`` can compare."""
    if prediction.ndim != 5 or prediction.shape[1:] != target.shape[1:]:
        raise ValueError(
            f"{label}: prediction {list(prediction.shape)} and target {list(target.shape)} must "
            "both be [B, F, C, H, W] and agree in all but B"
        )
    for name, frames in (("prediction", prediction), ("target", target)):
        low, high = frames.aminmax()
        if not (frames.is_floating_point() and low >= 0 and high <= 1):
            raise ValueError(
                f"{label}: {name} must hold floats in [0, 1], found {frames.dtype} from "
                f"{low.item():g} to {high.item():g}"
            )


class FrameReward(VideoReward):
    """A metric of single frames: a subclass writes ``frame_score``."""

    @abstractmethod
    def frame_score(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The metric of each frame [N, C, H, W], float32 in [0, 1], against its target, [N]."""

    def frame_scores(self, prediction: Tensor, target: Tensor) -> Tensor:
        truth = target.flatten(0, 1).float()
        members = prediction.unflatten(0, (-1, group_size(prediction, target)))  # [B, G, F, ...]
        scores = [self.frame_score(x.flatten(0, 1).float(), truth) for x in members.unbind(1)]
        return (
            torch.stack(scores, dim=1).unflatten(0, target.shape[:2]).transpose(1, 2).flatten(0, 1)
        )


class PixelError(FrameReward):
    """The mean over the pixels of a frame of an error that each pixel has."""

    higher_is_better = False

    @abstractmethod
    def error(self, difference: Tensor) -> Tensor:
        """The error of each value, in [0, 1], from prediction minus truth, in [-1, 1]."""

    def frame_score(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self.error(prediction - target).flatten(1).mean(dim=1)

    def patch_scores(self, prediction: Tensor, target: Tensor, grid: Sequence[int]) -> Tensor:
        members = prediction.unflatten(0, (-1, group_size(prediction, target))).float()
        error = self.error(members - target.float()[:, None]).mean(dim=-3)  # [B, G, F, H, W]
        return F.adaptive_avg_pool2d(error.flatten(0, 1), (grid[0], grid[1]))


class MAE(PixelError):
    """Mean absolute error over the pixels of a frame."""

    def error(self, difference: Tensor) -> Tensor:
        return difference.abs()


class MSE(PixelError):
    """Mean squared error over the pixels of a frame."""

    def error(self, difference: Tensor) -> Tensor:
        return difference.square()


class PyramidMSE(FrameReward):
    """Squared error at halved and halved resolutions, summed with the weights 1, 2, 4 and so on.

    Where a thing does not overlap its place, the squared error of pixels is the same at any
    distance. Here it falls, on the whole, as the thing comes nearer, so that a search finds the
    way: it is a cost for plans.

    Args:
        levels: How many resolutions, the full one counted; frames of 2^(levels - 1) pixels or more.
        weight: Factor in the total reward.
    """

    higher_is_better = False

    def __init__(self, levels: int = 5, weight: float = 1.0) -> None:
        super().__init__(weight)
        if levels < 1:
            raise ValueError(f"levels must be at least 1, got {levels}")
        self.levels = levels

    def frame_score(self, prediction: Tensor, target: Tensor) -> Tensor:
        least = 2 ** (self.levels - 1)
        if min(prediction.shape[-2:]) < least:
            raise ValueError(
                f"PyramidMSE: {self.levels} levels need frames of at least {least} x {least}, got "
                f"{list(prediction.shape[-2:])}; lower levels"
            )
        difference, total = prediction - target, prediction.new_zeros(len(prediction))
        for level in range(self.levels):
            total = total + 2**level * difference.square().flatten(1).mean(dim=1)
            difference = F.avg_pool2d(difference, 2) if level + 1 < self.levels else difference
        return total


class PSNR(FrameReward):
    """Peak signal-to-noise ratio of a frame in dB, 80 for identical frames.

    The paper's convention: 1e-8 is added to the squared error.
    """

    def frame_score(self, prediction: Tensor, target: Tensor) -> Tensor:
        error = (prediction - target).square().flatten(1).mean(dim=1)
        return -10 * torch.log10(error + 1e-8)


class SSIM(FrameReward):
    """Structural similarity, Gaussian window of 11 pixels with sigma 1.5, 1 for identical frames.

    The convention of Wang et al. (2004) and of the paper: only windows that lie within the frame
    count, while torchmetrics' own mean takes in windows over a reflected border.
    """

    def frame_score(self, prediction: Tensor, target: Tensor) -> Tensor:
        if min(prediction.shape[-2:]) < 11:
            raise ValueError(f"SSIM needs frames of at least 11 x 11, got {prediction.shape[-2:]}")
        with torch.autocast(prediction.device.type, enabled=False):
            _, similarity = structural_similarity_index_measure(
                prediction,
                target,
                sigma=1.5,
                reduction="none",
                data_range=1.0,
                return_full_image=True,
            )
        return similarity[..., 5:-5, 5:-5].flatten(1).mean(dim=1)


class LPIPS(VideoReward):
    """Learned perceptual distance of a frame; its trunk is frozen and never saved.

    Runs in float32, or in bfloat16 under autocast. The frames of a shared target are passed
    through the trunk once for the whole group.

    Args:
        backbone: ``st-alex`` or ``st-vgg``, whose weights are installed with this package, or one
            of the published forms ``alex``, ``vgg`` (the paper's) and ``squeeze``.
        weights: A weight file to use instead of the installed or cached one.
        weight: Factor in the total reward.
        chunk: Number of predicted frames that pass through the trunk at once; bounds the memory.
    """

    higher_is_better = False

    def __init__(
        self,
        backbone: BackboneName = "st-alex",
        weights: Path | None = None,
        weight: float = 1.0,
        chunk: int = 32,
    ) -> None:
        super().__init__(weight)
        self.distance = Frozen(PerceptualDistance(backbone, weights))
        self.chunk = chunk

    @property
    def label(self) -> str:
        return f"LPIPS ({self.distance.module.label})"

    def frame_scores(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self.patch_scores(prediction, target, (1, 1)).flatten(1)

    def patch_scores(self, prediction: Tensor, target: Tensor, grid: Sequence[int]) -> Tensor:
        group = group_size(prediction, target)
        frames = rearrange(prediction, "(b g) f c h w -> (b f g) c h w", g=group)
        scores = self.distances(frames, target.flatten(0, 1), grid)
        return rearrange(scores, "(b f g) h w -> (b g) f h w", b=len(target), g=group)

    def mutual(self, prediction: Tensor, truths: Tensor, given: Batch) -> Tensor:
        check_frames(self.label, prediction, truths)
        size, frames = group_size(prediction, given["key"]), prediction.flatten(0, 1)
        distance = self.distance.on(prediction.device)
        parts = [distance.features(part) for part in frames.split(self.chunk)]
        total = torch.zeros((), device=prediction.device)
        for layer in map(torch.cat, zip(*parts, strict=True)):
            points = rearrange(
                layer, "(b n f) c h w -> b f n (c h w)", n=size, f=len(prediction[0])
            )
            total = total + torch.cdist(points, points).square()  # [B, F, N, N]
        return total.mean(dim=1)

    def distances(self, prediction: Tensor, target: Tensor, grid: Sequence[int]) -> Tensor:
        """The distance at each patch of N * G frames, [N * G, h, w], to the N targets."""
        group = group_size(prediction, target)
        targets = max(1, self.chunk // group)
        distance = self.distance.on(prediction.device)
        pairs = zip(prediction.split(targets * group), target.split(targets), strict=True)
        return torch.cat([distance(mine, theirs, grid) for mine, theirs in pairs])
