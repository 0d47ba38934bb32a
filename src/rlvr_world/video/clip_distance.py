"""How far predicted clips as a whole are from true clips as a whole."""

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from rlvr_world.evaluation.columns import SetDistance
from rlvr_world.frozen import Frozen
from rlvr_world.video.lpips.lpips import PerceptualDistance


class ClipFeatures(nn.Module):
    """What a clip looks like and how it changes, in the features of LPIPS's last layer.

    They are averaged over the positions of a frame. The first half is their mean over the frames,
    the second half their mean absolute change from frame to frame; both times 100.
    """

    def __init__(self) -> None:
        super().__init__()
        self.perception = PerceptualDistance("st-alex")

    def forward(self, clips: Tensor) -> Tensor:
        """Clips [N, F, 3, H, W] in [0, 1] of at least two frames to [N, 2 * D], D = 256."""
        last_layers = (self.perception.features(images)[-1] for images in clips.unbind(dim=1))
        frames = 100 * torch.stack([x.mean(dim=(-2, -1)) for x in last_layers], dim=1)  # [N, F, D]
        return torch.cat([frames.mean(dim=1), frames.diff(dim=1).abs().mean(dim=1)], dim=1)


class FrechetClipDistance(SetDistance):
    """The Fréchet distance of the features of predicted clips to those of true clips.

    It compares sets, so that a row which is right on average but always blurred, or always still,
    shows. With the features of an I3D network it is FVD (Unterthiner et al., 2018); those weights
    have to be brought. The default stands in for it, and its values compare only with each other
    and for the same number of clips.

    Args:
        features: A network from clips [N, F, 3, H, W] in [0, 1] to features [N, D];
            ``ClipFeatures`` if not given.
        label: The heading of the column.
    """

    name = "frechet"

    def __init__(
        self, features: nn.Module | None = None, label: str = "Fréchet distance (ST-alex)"
    ) -> None:
        self.network = Frozen(features or ClipFeatures())
        self.label = label

    def features(self, states: Tensor) -> Tensor:
        return self.network.on(states.device)(states.float())

    def distance(self, predicted: Tensor, true: Tensor) -> Tensor:
        metric = FrechetInceptionDistance(Identity(predicted.shape[1]))
        metric.update(predicted, real=False)
        metric.update(true, real=True)
        return metric.compute()


class Identity(nn.Identity):
    """Features as they are, for a metric that asks how many there are."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features
