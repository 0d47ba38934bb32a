"""A patch discriminator and its losses."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Sequential):
    """Judges overlapping patches of a frame in the manner of Paella (Rampas et al. 2022).

    The defaults have depth 6 and 6.27 M parameters. Every convolution halves the resolution, so
    height and width must keep more than one position: above 64 pixels for depth 6.

    Args:
        channels: Width of each strided convolution, first to last.
    """

    def __init__(self, channels: Sequence[int] = (64, 128, 256, 512, 512, 512)) -> None:
        modules: list[nn.Module] = []
        for index, (width_in, width) in enumerate(zip([3, *channels], channels, strict=False)):
            modules.append(spectral_norm(nn.Conv2d(width_in, width, 3, stride=2, padding=1)))
            if index:
                modules.append(nn.InstanceNorm2d(width))
            modules.append(nn.LeakyReLU(0.2))
        super().__init__(*modules, nn.Conv2d(channels[-1], 1, 1))
        self.depth = len(channels)

    def forward(self, frames: Tensor) -> Tensor:
        """Logits [N, 1, h, w] of frames [N, 3, H, W]; positive means real."""
        if max(frames.shape[-2:]) <= 2**self.depth:
            raise ValueError(
                f"frames of {frames.shape[-2]} x {frames.shape[-1]} pixels are too small for a "
                f"discriminator of depth {self.depth}; give it fewer channels"
            )
        return super().forward(frames)


def discriminator_hinge_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The hinge loss of the discriminator, a scalar."""
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()


def generator_hinge_loss(fake_logits: Tensor) -> Tensor:
    """The adversarial loss of the generator, a scalar."""
    return -fake_logits.mean()


def gradient_penalty(discriminator: nn.Module, frames: Tensor) -> Tensor:
    """The squared distance from 1 of the gradient norm at real frames (Gulrajani et al. 2017)."""
    frames = frames.detach().requires_grad_()
    logits = discriminator(frames)
    (gradient,) = torch.autograd.grad(logits.float().sum(), frames, create_graph=True)
    return (gradient.float().flatten(1).norm(dim=1) - 1).square().mean()
