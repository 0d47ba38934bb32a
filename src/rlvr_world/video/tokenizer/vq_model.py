"""The frame tokenizer: a convolutional autoencoder with a finite scalar bottleneck."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.fft import dctn
from torch import Tensor, nn

from rlvr_world.video.tokenizer.autoencoder import Decoder, Encoder, Norm
from rlvr_world.video.tokenizer.quantize import FiniteScalarQuantizer
from rlvr_world.video.tokenizer.tokenizer_model import TokenizerModel

CODES_AT_ONCE = 64
WAVES = 6
"""Frequencies, in each direction, of what is kept of a code's looks."""
LOOKS_NORM = 6.0
"""Root mean square over codes of the norm of their looks, whatever the contrast."""


class Reconstruction(NamedTuple):
    """What ``VQModel.forward`` returns."""

    frames: Tensor  # [N, 3, H, W], not clamped
    indices: Tensor  # [N, h, w] long


class VQModel(TokenizerModel):
    """Turns single frames into a grid of codes and back.

    The defaults are the per-frame tokenizer released with RLVR-World: 104.41 M
    parameters, 16 x 16 pixels per code, 4375 codes.

    Args:
        channels: Width of each block; the resolution halves between neighbouring blocks.
        levels: Levels of each channel of the quantiser; their product is the codebook size.
        latent_channels: Width on both sides of the quantiser.
        layers: Residual blocks per block, in the encoder and in the decoder.
        stem: Factor by which pixels are folded into channels at the input and unfolded at the
            output; 1 keeps the first and last convolution at full resolution.
        kernel_size: Side of the encoder's convolutions; with 1 a code describes its own pixels
            only, so that it changes exactly when they do.
        norm: ``group`` or ``batch``.
        attention: Whether the middles of encoder and decoder attend over the whole picture.
        normalize_codes: Standardise the channels before they are quantised.
    """

    kind = "vq_model"

    def __init__(
        self,
        channels: Sequence[int] = (128, 256, 256, 512, 768),
        levels: Sequence[int] = (7, 5, 5, 5, 5),
        latent_channels: int = 64,
        layers: int = 2,
        stem: int = 1,
        kernel_size: int = 3,
        norm: Norm = "group",
        attention: bool = True,
        normalize_codes: bool = False,
    ) -> None:
        super().__init__(locals())
        self.encoder = Encoder(
            channels, latent_channels, layers, stem, kernel_size, norm, attention
        )
        self.to_codes = nn.Conv2d(latent_channels, len(levels), 1)
        self.quantizer = FiniteScalarQuantizer(levels, normalize_codes)
        self.num_codes = self.quantizer.num_codes
        self.from_codes = nn.Conv2d(len(levels), latent_channels, 1)
        self.decoder = Decoder(channels, latent_channels, layers, stem, norm, attention)
        self.downscale = stem * 2 ** (len(channels) - 1)

    def forward(self, frames: Tensor) -> Reconstruction:
        """Reconstruct frames [N, 3, H, W] in [0, 1], with gradients through the quantiser."""
        quantized = self.quantizer(self._latents(frames))
        return Reconstruction(self.decoder(self.from_codes(quantized.codes)), quantized.indices)

    def encode(self, frames: Tensor) -> Tensor:
        """The codes [N, H / downscale, W / downscale] long of frames [N, 3, H, W] in [0, 1]."""
        return self.quantizer(self._latents(frames)).indices

    def decode(self, indices: Tensor) -> Tensor:
        """The frames [N, 3, H, W] in [0, 1] of codes [N, h, w] long."""
        return self.decode_points(self.quantizer.lookup(indices))

    def decode_points(self, points: Tensor) -> Tensor:
        """As ``decode``, from points [N, L, h, w] of the quantiser's space, with gradients."""
        return self.decoder(self.from_codes(points)).clamp(0, 1)

    @torch.no_grad()
    def code_features(self) -> Tensor:
        """Coordinates and levels of each code, and what it looks like among its own kind."""
        tiles = torch.arange(self.num_codes)[:, None, None].expand(-1, 3, 3)
        middle = slice(self.downscale, 2 * self.downscale)
        parts = [self.decode(part)[..., middle, middle] for part in tiles.split(CODES_AT_ONCE)]
        looks = waves(torch.cat(parts))
        looks = looks - looks.mean(dim=0)
        scale = looks.square().sum(dim=1).mean().sqrt().clamp(min=1e-6)
        return torch.cat([self.quantizer.features(), looks / scale * LOOKS_NORM], dim=1)

    def _latents(self, frames: Tensor) -> Tensor:
        height, width = frames.shape[-2:]
        if height % self.downscale or width % self.downscale:
            raise ValueError(
                f"frames of {height} x {width} pixels do not divide into codes of "
                f"{self.downscale} x {self.downscale} pixels; resize the frames or change "
                "channels or stem"
            )
        return self.to_codes(self.encoder(frames))


def waves(patches: Tensor) -> Tensor:
    """The low frequencies of patches [N, 3, H, W]: cosine transforms of brightness and colour.

    They hardly go together, unlike pixels, so that a layer on top of them learns fast.

    Returns:
        [N, 3 * K], frequencies u, v with u + v < ``WAVES``.
    """
    red, green, blue = patches.unbind(1)
    colours = torch.stack([(red + green + blue) / 3, red - blue, green - (red + blue) / 2], dim=1)
    found = torch.from_numpy(dctn(colours.numpy(), axes=(-2, -1), norm="ortho"))
    rows, columns = (torch.arange(side) for side in patches.shape[-2:])
    return found[..., rows[:, None] + columns < WAVES].flatten(1)
