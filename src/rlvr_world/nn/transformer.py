"""A Llama-family decoder; its weights go both ways to ``transformers.LlamaForCausalLM``."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization
from torch.utils.checkpoint import checkpoint

from rlvr_world.nn.attention import (
    Attend,
    PromptCache,
    SamplingCache,
    causal_attention,
    visible_positions,
)
from rlvr_world.nn.gains import Gains
from rlvr_world.nn.geometry import PlacedActions, PlaceEmbedding, SharedRows, TokenGeometry
from rlvr_world.nn.sequence_model import SequenceModel

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LLAMA_NAMES = {
    "attention.out": "self_attn.o_proj",
    "feed_forward.down": "mlp.down_proj",
    "attention_norm": "input_layernorm",
    "feed_forward_norm": "post_attention_layernorm",
}
"""What ``transformers.LlamaForCausalLM`` calls the layers of a block that it does not split."""


class Attention(nn.Module):
    """Causal self-attention with rotary positions and grouped key-value heads."""

    def __init__(self, dim: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        self.sizes = [heads, kv_heads, kv_heads]
        self.head_dim = dim // heads
        self.qkv = nn.Linear(dim, sum(self.sizes) * self.head_dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, rotation: Tensor, attend: Attend) -> Tensor:
        heads = rearrange(self.qkv(x), "b t (h d) -> b h t d", d=self.head_dim)
        turned, value = heads.tensor_split([sum(self.sizes[:2])], dim=1)
        query, key = rotate(turned, rotation).split(self.sizes[:2], dim=1)
        mixed = attend(query, key, value)
        return self.out(rearrange(mixed, "b h t d -> b t (h d)"))


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(dim, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm and around a residual."""

    def __init__(self, dim: int, heads: int, kv_heads: int, hidden: int, norm_eps: float) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(dim, norm_eps)
        self.attention = Attention(dim, heads, kv_heads)
        self.feed_forward_norm = nn.RMSNorm(dim, norm_eps)
        self.feed_forward = FeedForward(dim, hidden)

    def forward(self, x: Tensor, rotation: Tensor, attend: Attend) -> Tensor:
        x = x + self.attention(self.attention_norm(x), rotation, attend)
        return x + self.feed_forward(self.feed_forward_norm(x))


class Transformer(SequenceModel):
    """A decoder-only transformer of the Llama family.

    Args:
        vocab_size: Number of token ids, supplied by the codec.
        dim: Width of the hidden states.
        depth: Number of blocks.
        heads: Number of query heads; ``dim / heads`` must be even.
        kv_heads: Number of key and value heads; as many as ``heads`` if not given.
        hidden: Width of the feed-forward layer; 4 times ``dim`` if not given.
        rope_theta: Base of the rotary position embedding.
        norm_eps: Epsilon of the RMS norms.
        checkpointing: Recompute each block in the backward pass instead of keeping its activations.
        compiled: Fuse each block with ``torch.compile``; first passes at a shape take longer.
        features: Let tokens that are alike, such as codes or action bins that are neighbours, share
            a part of their rows in the tables of inputs and outputs. It folds into plain tables
            when the model is exported.
        frames: Learn the row, the column and the frame of what each input predicts, for sequences
            of at most so many frames; not at all if not given. Such a model is no Llama.
        actions: Tell each input that predicts a code the latest actions, weighed by the code's
            place, beside letting it attend to them; needs ``frames``.
    """

    def __init__(
        self,
        vocab_size: int,
        dim: int = 128,
        depth: int = 4,
        heads: int = 4,
        kv_heads: int | None = None,
        hidden: int | None = None,
        rope_theta: float = 10_000.0,
        norm_eps: float = 1e-6,
        checkpointing: bool = False,
        compiled: bool = False,
        features: bool = False,
        frames: int | None = None,
        actions: bool = False,
    ) -> None:
        super().__init__()
        if actions and frames is None:
            raise ValueError("backbone.actions needs backbone.frames, the most frames of a clip")
        kv_heads, hidden = kv_heads or heads, hidden or 4 * dim
        if min(dim, depth, heads, kv_heads, hidden) < 1:
            raise ValueError("dim, depth, heads, kv_heads and hidden must be at least 1")
        if dim % (2 * heads) or heads % kv_heads:
            raise ValueError(
                f"dim {dim} must be a multiple of 2 * heads ({heads}), "
                f"and heads a multiple of kv_heads ({kv_heads})"
            )
        self.head_dim, self.rope_theta = dim // heads, rope_theta
        self.checkpointing = checkpointing
        self.embedding = nn.Embedding(vocab_size, dim)
        self.blocks = nn.ModuleList(
            Block(dim, heads, kv_heads, hidden, norm_eps) for _ in range(depth)
        )
        self.norm = nn.RMSNorm(dim, norm_eps)
        self.head = nn.Linear(dim, vocab_size, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
        if compiled:
            for block in self.blocks:
                block.compile()
        self.features, self.frames, self.actions = features, frames, actions
        self.places: PlaceEmbedding | None = None
        self.placed_actions: PlacedActions | None = None

    def learn_geometry(self, codec: TokenGeometry) -> None:
        dim = self.embedding.embedding_dim
        if self.features or self.actions:
            name = "features" if self.features else "actions"
            features = known(codec.features(), codec, name)
        if self.features:
            for layer in (self.embedding, self.head):
                register_parametrization(layer, "weight", SharedRows(features, dim))
        if self.frames is not None:
            places = known(codec.places(self.frames), codec, "frames")
            self.places = PlaceEmbedding(places, dim)
            if self.actions:
                self.placed_actions = PlacedActions(places, features, dim)

    @property
    def layers(self) -> list[Block]:
        return [cast(Block, block) for block in self.blocks]

    @property
    def gains(self) -> Gains:
        return Gains([self.norm.weight])

    def forward(
        self,
        ids: Tensor,
        cache: PromptCache | SamplingCache | None = None,
        padding: Tensor | None = None,
    ) -> Tensor:
        start = 0 if cache is None else cache.length
        rotation = self.rotation(start, ids.shape[1], ids.device)
        if cache is None:
            length = ids.shape[1]
            mask = None if padding is None else visible_positions(length, length, padding)
            attends: list[Attend] = [partial(causal_attention, mask=mask)] * len(self.blocks)
        else:
            attends = cache.attends(*ids.shape)
        x = self.embedding(ids)
        if self.places is not None:
            x = x + self.places(start, ids.shape[1])
        if self.placed_actions is not None:
            history = ids if cache is None else cache.history(ids)
            x = x + self.placed_actions(history, start, ids.shape[1])
        for block, attend in zip(self.blocks, attends, strict=True):
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, rotation, attend, use_reentrant=False)
            else:
                x = block(x, rotation, attend)
        if cache is not None:
            cache.advance(ids.shape[1])
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        return self.head(hidden)

    def prompt_cache(self, ids: Tensor, padding: Tensor | None = None) -> PromptCache:
        cache = PromptCache(len(self.blocks), padding)
        self(ids, cache)
        return cache

    def sampling_cache(
        self,
        ids: Tensor,
        group_size: int,
        capacity: int,
        padding: Tensor | None = None,
        static: bool = False,
    ) -> tuple[Tensor, SamplingCache]:
        prompt = PromptCache(len(self.blocks), padding)
        hidden = self(ids, prompt)
        return hidden[:, -1], SamplingCache(prompt, group_size, capacity, static)

    @property
    def has_counterpart(self) -> bool:
        return self.places is None

    def to_transformers(self) -> "PreTrainedModel":
        from rlvr_world.nn.llama import to_llama

        return to_llama(self)

    def to_transformers_state(self) -> Iterator[tuple[str, Tensor]]:
        """Names and weights of ``transformers.LlamaForCausalLM``, as views of our parameters.

        Tables with shared features are whole.
        """
        if self.places is not None:
            raise ValueError(
                "backbone.frames: a model that learns places is no Llama; use its checkpoint or "
                "what `rlvr-world export` writes of it, or train without them"
            )
        yield "model.embed_tokens.weight", self.embedding.weight
        for index, block in enumerate(self.layers):
            prefix = f"model.layers.{index}"
            sizes = [size * self.head_dim for size in block.attention.sizes]
            for name, rows in zip("qkv", block.attention.qkv.weight.split(sizes), strict=True):
                yield f"{prefix}.self_attn.{name}_proj.weight", rows
            gate, up = block.feed_forward.gate_up.weight.chunk(2)
            yield f"{prefix}.mlp.gate_proj.weight", gate
            yield f"{prefix}.mlp.up_proj.weight", up
            for ours, theirs in LLAMA_NAMES.items():
                yield f"{prefix}.{theirs}.weight", block.get_parameter(f"{ours}.weight")
        yield "model.norm.weight", self.norm.weight
        yield "lm_head.weight", self.head.weight

    def rotation(self, start: int | Tensor, length: int, device: torch.device) -> Tensor:
        """What ``rotate`` needs for positions ``start ...``, [2, T, head_dim].

        Cosines of the angles, and sines with the sign that the other half of a pair takes.
        """
        half = torch.arange(0, self.head_dim, 2, device=device, dtype=torch.float32)
        frequencies = self.rope_theta ** -(half / self.head_dim)
        positions = torch.arange(length, device=device, dtype=torch.float32) + start
        angles = torch.outer(positions, frequencies)
        cos, sin = angles.cos(), angles.sin()
        return torch.stack([torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)])


def known(table: Tensor | None, codec: TokenGeometry, name: str) -> Tensor:
    """What a codec knows of its tokens; raises ``ValueError`` if it does not."""
    if table is None:
        raise ValueError(f"backbone.{name}: {type(codec).__name__} knows none; leave it out")
    return table


def rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Rotate pairs (i, i + D/2) of x [N, H, T, D] by the angles of their positions."""
    cos, sin = rotation.to(x.dtype)
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)
