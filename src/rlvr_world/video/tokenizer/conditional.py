"""Encoders and decoders of frames that look at a context frame."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rlvr_world.video.tokenizer.autoencoder import Decoder, Encoder


class CrossAttention(nn.Module):
    """Attention of a frame's features to those of its context frame, with learned positions.

    Dropout leaves out attention weights, and what comes out.
    """

    def __init__(self, channels: int, positions: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(gcd(32, channels), channels)
        self.context_norm = nn.GroupNorm(gcd(32, channels), channels)
        self.position = nn.Parameter(torch.zeros(positions, channels))
        self.context_position = nn.Parameter(torch.zeros(positions, channels))
        self.attention = nn.MultiheadAttention(channels, heads, dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor, context: Tensor) -> Tensor:
        """Features [B * T, C, h, w] of the T frames of B clips, whose context is [B, C, h, w]."""
        query = self.norm(features).flatten(2).transpose(1, 2) + self.position  # [B * T, hw, C]
        key = self.context_norm(context).flatten(2).transpose(1, 2) + self.context_position
        clips = query.unflatten(0, (len(key), -1)).flatten(1, 2)  # [B, T * hw, C]
        mixed = self.dropout(self.attention(clips, key, key, need_weights=False)[0])
        mixed = mixed.reshape(query.shape).transpose(1, 2)
        return F.silu(features + mixed.reshape(features.shape))


class Conditional(nn.Module):
    """An encoder or decoder whose features attend to those of a context frame at the same depth.

    Attention follows every block whose feature maps are at most ``height`` positions high. The
    context frame passes through an encoder or decoder of the same layout as ``layers``.
    """

    def __init__(
        self,
        layers: Encoder | Decoder,
        frame_size: Sequence[int],
        height: int,
        heads: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.layers = layers
        rows, columns = frame_size
        attending = [tap for tap in layers.taps if rows // tap.scale <= height]
        if not attending:
            lowest = rows // max(tap.scale for tap in layers.taps)
            raise ValueError(
                f"attention_height is {height}, but the lowest feature maps of frames of "
                f"{rows} x {columns} pixels are {lowest} high; give it at least {lowest}"
            )
        self.taps = [tap.layer for tap in attending]
        self.attentions = nn.ModuleList(
            CrossAttention(
                tap.channels, (rows // tap.scale) * (columns // tap.scale), heads, dropout
            )
            for tap in attending
        )

    def forward(self, inputs: Tensor, context: Mapping[int, Tensor]) -> Tensor:
        """The output for T inputs of each of B clips, [B * T, ...].

        ``context`` holds the features of the B context frames behind each layer of ``taps``.
        """
        attentions = dict(zip(self.taps, self.attentions, strict=True))
        features = inputs
        for index, layer in enumerate(self.layers):
            features = layer(features)
            if index in attentions:
                features = attentions[index](features, context[index])
        return features


def tapped(
    layers: Iterable[nn.Module], inputs: Tensor, taps: Collection[int]
) -> tuple[Tensor, dict[int, Tensor]]:
    """What comes out of ``layers``, and the features behind the layers of the given indices."""
    features, kept = inputs, {}
    for index, layer in enumerate(layers):
        features = layer(features)
        if index in taps:
            kept[index] = features
    return features, kept
