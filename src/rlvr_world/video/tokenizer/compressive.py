"""The compressive tokenizer: many codes for a context frame, few for each frame after it."""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlvr_world.video.tokenizer.autoencoder import Decoder, Encoder, Norm
from rlvr_world.video.tokenizer.conditional import Conditional, tapped
from rlvr_world.video.tokenizer.quantize import FiniteScalarQuantizer, Quantized
from rlvr_world.video.tokenizer.tokenizer_model import TokenizerModel


class ClipCodes(NamedTuple):
    """The codes of B clips."""

    context: Tensor  # [B, h, w] long, of the context frame
    frames: Tensor  # [B, T, h / patch_size, w / patch_size] long, of the frames after it


class ClipReconstruction(NamedTuple):
    """What ``CompressiveVQModel.forward`` returns."""

    frames: Tensor  # [B, 1 + T, 3, H, W], the context frame first, not clamped
    codes: ClipCodes


class CompressiveVQModel(TokenizerModel):
    """Turns a context frame into a grid of codes, and later frames into few codes given it.

    What a later frame shares with the context frame reaches its encoder and its decoder by
    cross-attention, so that its own codes need to hold only what changed (iVideoGPT, Wu et al.
    2024). The defaults are the compressive tokenizer released with RLVR-World: 129.45 M parameters,
    8 x 8 pixels per code of the context frame, 32 x 32 per code of the others, 4375 codes for each.

    Args:
        frame_size: Height and width of the frames in pixels.
        channels: Width of each block; the resolution halves between neighbouring blocks.
        levels: Levels of each channel of the later frames' quantiser.
        context_levels: Levels of each channel of the context frame's quantiser.
        latent_channels: Width on both sides of the quantisers.
        layers: Residual blocks per block of the encoders; the decoders have one more.
        patch_size: Side of the square of latents that becomes one code of a later frame.
        stem: Factor by which pixels are folded into channels at the input and unfolded at the
            output; 1 keeps the first and last convolution at full resolution.
        kernel_size: Side of the encoders' convolutions.
        norm: ``group`` or ``batch``.
        attention: Whether the middles of the context frame's encoder and decoder attend over the
            whole picture; those of the later frames always do.
        attention_height: Largest height of feature maps that attend to those of the context frame.
        heads: Heads of the attention to the context frame.
        dropout: Dropout of the attention to the context frame.
        normalize_codes: Standardise the channels before they are quantised.
    """

    kind = "compressive_vq_model"

    def __init__(
        self,
        frame_size: Sequence[int] = (256, 320),
        channels: Sequence[int] = (128, 256, 256, 512),
        levels: Sequence[int] = (7, 5, 5, 5, 5),
        context_levels: Sequence[int] = (7, 5, 5, 5, 5),
        latent_channels: int = 64,
        layers: int = 2,
        patch_size: int = 4,
        stem: int = 1,
        kernel_size: int = 3,
        norm: Norm = "group",
        attention: bool = False,
        attention_height: int = 32,
        heads: int = 4,
        dropout: float = 0.1,
        normalize_codes: bool = False,
    ) -> None:
        super().__init__(locals())
        self.frame_size = tuple(frame_size)
        self.downscale = stem * 2 ** (len(channels) - 1)
        self.patch_size = patch_size
        step = self.downscale * patch_size
        if len(frame_size) != 2 or any(side < 1 or side % step for side in frame_size):
            raise ValueError(
                f"frame_size {self.frame_size} must be height and width, each a multiple of the "
                f"{step} pixels that a code of a later frame stands for"
            )
        encoder = (channels, latent_channels, layers, stem, kernel_size, norm)
        decoder = (channels, latent_channels, layers + 1, stem, norm)
        attends = (frame_size, attention_height, heads, dropout)
        self.encoder = Encoder(*encoder, attention=attention)
        self.conditional_encoder = Conditional(Encoder(*encoder), *attends)
        self.decoder = Decoder(*decoder, attention=attention, early=True)
        self.conditional_decoder = Conditional(Decoder(*decoder, early=True), *attends)
        self.context_quantizer = FiniteScalarQuantizer(context_levels, normalize_codes)
        self.to_context_codes = nn.Conv2d(latent_channels, len(context_levels), 1)
        self.from_context_codes = nn.Conv2d(len(context_levels), latent_channels, 1)
        self.quantizer = FiniteScalarQuantizer(levels, normalize_codes)
        self.num_codes = self.quantizer.num_codes
        self.to_codes = nn.Conv2d(latent_channels, len(levels), patch_size, stride=patch_size)
        self.from_codes = nn.Sequential(
            nn.Conv2d(len(levels), latent_channels * patch_size**2, 1),
            nn.PixelShuffle(patch_size),
        )

    @property
    def num_context_codes(self) -> int:
        return self.context_quantizer.num_codes

    @property
    def context_grid(self) -> tuple[int, int]:
        """Height and width of a context frame in codes."""
        rows, columns = self.frame_size
        return rows // self.downscale, columns // self.downscale

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of a later frame in codes."""
        rows, columns = self.context_grid
        return rows // self.patch_size, columns // self.patch_size

    def forward(self, clips: Tensor) -> ClipReconstruction:
        """Reconstruct clips [B, 1 + T, 3, H, W] in [0, 1] from the codes of all their frames."""
        context, later = self._quantize(clips[:, 0], clips[:, 1:])
        latents = self.from_context_codes(context.codes)
        first, features = tapped(self.decoder, latents, self.conditional_decoder.taps)
        frames = self.conditional_decoder(self.from_codes(later.codes), features)
        frames = torch.cat([first[:, None], frames.unflatten(0, (len(first), -1))], dim=1)
        return ClipReconstruction(frames, _clip_codes(context, later))

    def encode(self, context: Tensor, frames: Tensor) -> ClipCodes:
        """The codes of context frames [B, 3, H, W] and of the frames [B, T, 3, H, W] after them."""
        return _clip_codes(*self._quantize(context, frames))

    def decode(self, codes: ClipCodes) -> Tensor:
        """The frames after the context frame, [B, T, 3, H, W] in [0, 1]."""
        points = self.quantizer.lookup(codes.frames.flatten(0, 1))
        return self.decode_points(codes.context, points.unflatten(0, codes.frames.shape[:2]))

    def decode_points(self, context: Tensor, points: Tensor) -> Tensor:
        """As ``decode``, from the context's codes [B, h, w] and points [B, T, L, h, w]."""
        taps = self.conditional_decoder.taps
        latents = self.from_context_codes(self.context_quantizer.lookup(context))
        _, features = tapped(islice(self.decoder, max(taps) + 1), latents, taps)
        frames = self.conditional_decoder(self.from_codes(points.flatten(0, 1)), features)
        return frames.clamp(0, 1).unflatten(0, points.shape[:2])

    def decode_context(self, indices: Tensor) -> Tensor:
        """The context frames [B, 3, H, W] in [0, 1] of codes [B, h, w] long."""
        latents = self.from_context_codes(self.context_quantizer.lookup(indices))
        return self.decoder(latents).clamp(0, 1)

    def code_features(self) -> Tensor:
        """Those of the later frames' codes, then those of the context frame's."""
        return torch.block_diag(self.quantizer.features(), self.context_quantizer.features())

    def _quantize(self, context: Tensor, frames: Tensor) -> tuple[Quantized, Quantized]:
        if frames.shape[-2:] != self.frame_size or frames.shape[1] < 1:
            raise ValueError(
                f"expected clips of at least 2 frames of {self.frame_size[0]} x "
                f"{self.frame_size[1]} pixels (frame_size of the tokenizer), got "
                f"{1 + frames.shape[1]} of {frames.shape[-2]} x {frames.shape[-1]}"
            )
        latents, features = tapped(self.encoder, context, self.conditional_encoder.taps)
        quantized = self.context_quantizer(self.to_context_codes(latents))
        later = self.conditional_encoder(frames.flatten(0, 1), features)
        return quantized, self.quantizer(self.to_codes(later))


def _clip_codes(context: Quantized, later: Quantized) -> ClipCodes:
    return ClipCodes(context.indices, later.indices.unflatten(0, (len(context.indices), -1)))
