"""Convolutional encoder and decoder of the frame tokenizer."""

from collections.abc import Sequence
from itertools import pairwise
from math import gcd
from typing import Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

Norm = Literal["group", "batch"]


class Tap(NamedTuple):
    """A place in an encoder or decoder whose features can be read or changed: a block's end."""

    layer: int  # index of the layer that the features come out of
    channels: int
    scale: int  # pixels per position, along each side


def normalization(kind: Norm, channels: int) -> nn.Module:
    """A normalisation layer over ``channels`` feature maps.

    ``group`` (up to 32 groups) looks at the whole picture; ``batch`` is local once training is
    over, so that what does not move keeps its features.
    """
    if kind == "group":
        return nn.GroupNorm(gcd(32, channels), channels, eps=1e-6)
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    raise ValueError(f"norm: expected 'group' or 'batch', got {kind!r}")


class ResidualBlock(nn.Module):
    """Two convolutions of odd side, each after normalisation and SiLU, beside a shortcut."""

    def __init__(
        self, in_channels: int, out_channels: int, norm: Norm, kernel_size: int = 3
    ) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.layers = nn.Sequential(
            normalization(norm, in_channels),
            nn.SiLU(),
            nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding),
            normalization(norm, out_channels),
            nn.SiLU(),
            nn.Conv2d(out_channels, out_channels, kernel_size, padding=padding),
        )
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """[N, in, h, w] to [N, out, h, w]."""
        return self.shortcut(features) + self.layers(features)


class SelfAttention(nn.Module):
    """Single-head attention among all positions, added to its input [N, C, h, w]."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.norm = normalization(norm, channels)
        self.query_key_value = nn.Conv2d(channels, 3 * channels, 1)
        self.output = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        projected = self.query_key_value(self.norm(features)).flatten(2).transpose(1, 2)
        query, key, value = projected.unsqueeze(1).chunk(3, dim=-1)  # each [N, 1, h * w, C]
        mixed = F.scaled_dot_product_attention(query, key, value)[:, 0]
        return features + self.output(mixed.transpose(1, 2).unflatten(2, features.shape[2:]))


class Downsample(nn.Conv2d):
    """Halves height and width by a strided convolution, padded below and to the right.

    A ``kernel_size`` of 1 reads only the 2 x 2 positions that become one.
    """

    def __init__(self, channels: int, kernel_size: int = 3) -> None:
        super().__init__(channels, channels, max(kernel_size, 2), stride=2)
        self.overlap = max(kernel_size, 2) - 2

    def forward(self, features: Tensor) -> Tensor:
        """[N, C, h, w] to [N, C, h / 2, w / 2]."""
        return super().forward(F.pad(features, (0, self.overlap, 0, self.overlap)))


def middle(channels: int, norm: Norm, attention: bool, kernel_size: int = 3) -> nn.Sequential:
    """Two residual blocks at the lowest resolution, with self-attention between them."""
    between = [SelfAttention(channels, norm)] if attention else []
    blocks = [ResidualBlock(channels, channels, norm, kernel_size) for _ in range(2)]
    return nn.Sequential(blocks[0], *between, blocks[1])


class Encoder(nn.Sequential):
    """Frames to latents, ``stem * 2 ** (len(channels) - 1)`` times smaller; see ``VQModel``."""

    def __init__(
        self,
        channels: Sequence[int],
        latent_channels: int,
        layers: int,
        stem: int = 1,
        kernel_size: int = 3,
        norm: Norm = "group",
        attention: bool = True,
    ) -> None:
        padding = kernel_size // 2
        modules: list[nn.Module] = [
            nn.PixelUnshuffle(stem),
            nn.Conv2d(3 * stem**2, channels[0], kernel_size, padding=padding),
        ]
        taps = []
        for index, (width_in, width) in enumerate(pairwise([channels[0], *channels])):
            if index:
                modules.append(Downsample(width_in, kernel_size))
                taps.append(Tap(len(modules) - 1, width_in, stem * 2**index))
            modules += [
                ResidualBlock(width if layer else width_in, width, norm, kernel_size)
                for layer in range(layers)
            ]
        taps.append(Tap(len(modules) - 1, channels[-1], stem * 2 ** (len(channels) - 1)))
        super().__init__(
            *modules,
            middle(channels[-1], norm, attention, kernel_size),
            normalization(norm, channels[-1]),
            nn.SiLU(),
            nn.Conv2d(channels[-1], latent_channels, kernel_size, padding=padding),
        )
        self.taps = taps


class Decoder(nn.Sequential):
    """Latents to frames; mirrors ``Encoder``, whose ``channels`` it takes.

    With ``early``, blocks take on their own width and all but the last double the resolution, as in
    diffusers; if not, they take on the width of the next block and all but the first double it, as
    in the released per-frame tokenizer.
    """

    def __init__(
        self,
        channels: Sequence[int],
        latent_channels: int,
        layers: int,
        stem: int = 1,
        norm: Norm = "group",
        attention: bool = True,
        early: bool = False,
    ) -> None:
        widths = list(reversed(channels))
        modules: list[nn.Module] = [
            nn.Conv2d(latent_channels, widths[0], 3, padding=1),
            middle(widths[0], norm, attention),
        ]
        scale = stem * 2 ** (len(widths) - 1)
        taps = [Tap(1, widths[0], scale)]
        steps = [widths[0], *widths] if early else [*widths, widths[-1]]
        for index, (width_in, width) in enumerate(pairwise(steps)):
            modules += [
                ResidualBlock(width if layer else width_in, width, norm) for layer in range(layers)
            ]
            if index < len(widths) - 1 if early else index:
                modules += [nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, padding=1)]
                scale //= 2
            taps.append(Tap(len(modules) - 1, width, scale))
        super().__init__(
            *modules,
            normalization(norm, widths[-1]),
            nn.SiLU(),
            nn.Conv2d(widths[-1], 3 * stem**2, 3, padding=1),
            nn.PixelShuffle(stem),
        )
        self.taps = taps
