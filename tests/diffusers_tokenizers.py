"""The published tokenizers out of blocks of ``diffusers``, in the layout of their checkpoints."""

from itertools import pairwise

import torch
from diffusers.models.autoencoders.vae import Decoder, Encoder
from diffusers.models.unets.unet_2d_blocks import UpDecoderBlock2D
from torch import nn
from torch.nn import functional as F


def encoder_of(config, attention):
    channels = config["block_out_channels"]
    return Encoder(
        3, config["latent_channels"], ("DownEncoderBlock2D",) * len(channels), tuple(channels),
        config["layers_per_block"], double_z=False, mid_block_add_attention=attention,
    )  # fmt: skip


def decoder_of(config, attention):
    channels = config["block_out_channels"]
    return Decoder(
        config["latent_channels"], 3, ("UpDecoderBlock2D",) * len(channels), tuple(channels),
        config["layers_per_block"], mid_block_add_attention=attention,
    )  # fmt: skip


class FrameTokenizer(nn.Module):
    """``diffusers`` has another decoder; the blocks of this one are what is published."""

    def __init__(self, config):
        super().__init__()
        latent, channels = config["latent_channels"], config["block_out_channels"]
        self.encoder = encoder_of(config, True)
        self.quant_linear = nn.Conv2d(latent, 5, 1)
        self.post_quant_linear = nn.Conv2d(5, latent, 1)
        self.decoder = decoder_of(config, True)
        self.decoder.up_blocks = nn.ModuleList(
            UpDecoderBlock2D(
                width_in, width, num_layers=config["layers_per_block"], add_upsample=i > 0
            )
            for i, (width_in, width) in enumerate(pairwise([*channels[::-1], channels[0]]))
        )

    def latents(self, frames):
        return self.quant_linear(self.encoder(frames))

    def decode(self, codes):
        return self.decoder(self.post_quant_linear(codes))


class CrossAttentionBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.att = nn.MultiheadAttention(width, 4, batch_first=True)
        self.q_norm, self.kv_norm = nn.GroupNorm(32, width), nn.GroupNorm(32, width)
        self.q_pos_emb = nn.Parameter(torch.zeros(1280, width))
        self.kv_pos_emb = nn.Parameter(torch.zeros(1280, width))

    def forward(self, features, context):
        query = self.q_norm(features).movedim(1, -1).flatten(1, 2) + self.q_pos_emb
        key = self.kv_norm(context).movedim(1, -1).flatten(1, 2) + self.kv_pos_emb
        mixed = self.att(query, key, key)[0].transpose(1, 2).view_as(features)
        return F.silu(features + mixed)


class CompressiveTokenizer(nn.Module):
    """Tokens of later frames are rows of patches, flattened as (row, column, channel)."""

    def __init__(self, config):
        super().__init__()
        latent, channels = config["latent_channels"], config["block_out_channels"]
        self.side = config["patch_size"]
        context = config["mid_block_add_attention"]
        self.encoder, self.cond_encoder = encoder_of(config, context), encoder_of(config, True)
        self.decoder, self.cond_decoder = decoder_of(config, context), decoder_of(config, True)
        heights = [config["resolution"] // 2 ** min(i + 1, len(channels) - 1)
                   for i in range(len(channels))]  # fmt: skip
        self.cond_encoder.cross_att_blocks = nn.ModuleList(
            CrossAttentionBlock(c) for c, h in zip(channels, heights, strict=True) if h <= 32
        )
        self.cond_decoder.cross_att_blocks = nn.ModuleList([CrossAttentionBlock(channels[-1])])
        self.quant_conv, self.post_quant_conv = nn.Conv2d(latent, 5, 1), nn.Conv2d(5, latent, 1)
        self.quant_linear = nn.Linear(latent * self.side**2, 5)
        self.post_quant_linear = nn.Linear(5, latent * self.side**2)

    def latents(self, context, frames):
        """Before quantisation: [1, 5, h, w] of the context frame, [T, h * w, 5] of T later ones."""
        features, later = self.encoder.conv_in(context), self.cond_encoder.conv_in(frames)
        left = list(self.cond_encoder.cross_att_blocks)
        blocks = zip(self.encoder.down_blocks, self.cond_encoder.down_blocks, strict=True)
        for block, later_block in blocks:
            features, later = block(features), later_block(later)
            if later.shape[-2] <= 32:
                later = left.pop(0)(later, features.expand_as(later))
        first = self.quant_conv(end(self.encoder, self.encoder.mid_block(features)))
        later = end(self.cond_encoder, self.cond_encoder.mid_block(later))
        patches = later.unfold(2, self.side, self.side).unfold(3, self.side, self.side)
        patches = patches.permute(0, 2, 3, 4, 5, 1)  # [T, h, w, row, column, channel]
        return first, self.quant_linear(patches.flatten(3).flatten(1, 2))

    def decode(self, context, codes):
        """The context frame and the later ones, of codes as ``latents`` has them."""
        first = self.decoder.mid_block(self.decoder.conv_in(self.post_quant_conv(context)))
        height, width = first.shape[-2] // self.side, first.shape[-1] // self.side
        patches = self.post_quant_linear(codes)
        patches = patches.unflatten(2, (self.side, self.side, -1)).unflatten(1, (height, width))
        latents = patches.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)
        later = self.cond_decoder.mid_block(self.cond_decoder.conv_in(latents))
        later = self.cond_decoder.cross_att_blocks[0](later, first.expand_as(later))
        for block in self.decoder.up_blocks:
            first = block(first)
        for block in self.cond_decoder.up_blocks:
            later = block(later)
        return end(self.decoder, first), end(self.cond_decoder, later)


def end(coder, features):
    return coder.conv_out(coder.conv_act(coder.conv_norm_out(features)))
