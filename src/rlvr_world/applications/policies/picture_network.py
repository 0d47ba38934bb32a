"""A small network that reads numbers off a picture, and its training."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PictureNetwork(nn.Module):
    """Numbers [B, D] of pictures uint8 [B, 3, H, W].

    Args:
        outputs: How many numbers.
        channels: Width of the convolutions, of which the first sees patches of 4 x 4 pixels, and
            each later one halves height and width.
        hidden: Width of the layer behind the convolutions.
        grid: Height and width of what that layer sees.
    """

    def __init__(
        self,
        outputs: int,
        channels: tuple[int, ...] = (32, 32),
        hidden: int = 96,
        grid: int = 8,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, channels[0], 4, stride=4), nn.ReLU()]
        for before, after in pairwise(channels):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU()]
        layers += [nn.AdaptiveAvgPool2d(grid), nn.Flatten()]
        layers += [nn.Linear(channels[-1] * grid * grid, hidden), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden, outputs))

    def forward(self, frames: Tensor) -> Tensor:
        return self.layers(frames.float() / 255 - 0.5)


def trained(
    frames: Tensor, targets: Tensor, steps: int, seed: int, binary: bool, batch_size: int = 32
) -> PictureNetwork:
    """A network that was shown pictures and what it should say of them.

    Args:
        frames: uint8 [N, 3, H, W].
        targets: float32 [N, D].
        steps: Batches of training.
        seed: Of the initial weights and the order of the pictures.
        binary: Whether targets are 0 and 1, of which the network gives the logits; it is trained
            by squared errors otherwise.
        batch_size: Pictures in a batch.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PictureNetwork(targets.shape[1])
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    loss = F.binary_cross_entropy_with_logits if binary else F.mse_loss
    for _ in range(steps):
        rows = torch.randint(len(frames), (batch_size,), generator=generator)
        optimizer.zero_grad()
        loss(network(frames[rows]), targets[rows]).backward()
        optimizer.step()
        schedule.step()
    return network.eval().requires_grad_(False)
