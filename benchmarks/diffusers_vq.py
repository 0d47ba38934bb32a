"""The frame tokenizer's network out of the blocks of ``diffusers``."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Codec(NamedTuple):
    """A tokenizer's two directions: frames [N, 3, H, W] to codes [N, h, w] and back."""

    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]


def diffusers_codec(device: torch.device, **config: Any) -> Codec:
    """Ours in ``diffusers``, with random weights; codes come from a learned codebook of its size.

    Args:
        device: Where it runs.
        **config: The arguments of our ``VQModel``.
    """
    stem, width = config["stem"], len(config["levels"])
    model = diffusers_model(**config).eval().to(device)

    def encode(frames: Tensor) -> Tensor:
        latents = model.encode(F.pixel_unshuffle(frames, stem)).latents
        _, _, (_, _, indices) = model.quantize(latents)
        return indices.view(len(latents), *latents.shape[-2:])

    def decode(indices: Tensor) -> Tensor:
        shape = (*indices.shape, width)
        decoded = model.decode(indices.flatten(), force_not_quantize=True, shape=shape)
        return F.pixel_shuffle(decoded.sample, stem).clamp(0, 1)

    return Codec(encode, decode)


def diffusers_model(
    channels: Sequence[int],
    levels: Sequence[int],
    latent_channels: int,
    layers: int,
    stem: int,
    attention: bool,
    **common: Any,
) -> nn.Module:
    """A ``diffusers.VQModel`` with the blocks of ours.

    Its own decoder is wider and deeper, so that decoder's blocks are replaced: they narrow before
    they upsample, as in the released tokenizer.
    """
    from diffusers.models.autoencoders.vq_model import VQModel
    from diffusers.models.unets.unet_2d_blocks import UpDecoderBlock2D

    model = VQModel(
        in_channels=3 * stem**2,
        out_channels=3 * stem**2,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=tuple(channels),
        layers_per_block=layers,
        latent_channels=latent_channels,
        num_vq_embeddings=prod(levels),
        vq_embed_dim=len(levels),
        mid_block_add_attention=attention,
        lookup_from_codebook=True,
    )
    widths = list(reversed(channels))
    model.decoder.up_blocks = nn.ModuleList(
        UpDecoderBlock2D(width_in, width, num_layers=layers, add_upsample=index > 0)
        for index, (width_in, width) in enumerate(pairwise([*widths, widths[-1]]))
    )
    return model
