"""Video: frames as tokens of a frozen tokenizer, actions as 256 bins between them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor

from rlvr_world.codecs.codec import Codec
from rlvr_world.frozen import Frozen
from rlvr_world.nn.vq_model import VQModel, load_vq_model
from rlvr_world.types import Batch, TokenSequence

TIMED = ("frames", "tokens")
"""The entries of a batch with one value for each frame that the codec reads."""


class FrameCodec(Codec):
    """Frames and actions as one sequence ``f1 a1 f2 a2 ... f_T`` (Equation 7 of the paper).

    The frames after the first ``context_frames`` are predicted; every action is given. A clip of
    ``context_frames + 1`` frames is the paper's single-step prediction.

    Args:
        tokenizer: Checkpoint or exported folder of a trained ``VQTokenizer``.
        frame_size: Height and width of the frames in pixels.
        action_low: Lower end of the range of each action dimension.
        action_high: Upper end of the range of each action dimension.
        context_frames: Number of leading frames that are given.
        action_bins: Number of equal bins of each action dimension (256 in the paper).
    """

    def __init__(
        self,
        tokenizer: Path | VQModel,
        frame_size: Sequence[int],
        action_low: Sequence[float],
        action_high: Sequence[float],
        context_frames: int = 4,
        action_bins: int = 256,
    ) -> None:
        super().__init__()
        model = tokenizer if isinstance(tokenizer, VQModel) else load_vq_model(tokenizer)
        if len(action_low) != len(action_high) or not all(
            low < high for low, high in zip(action_low, action_high, strict=False)
        ):
            raise ValueError("action_low and action_high must be as long, and low below high")
        if any(side % model.downscale for side in frame_size):
            raise ValueError(
                f"frame_size {tuple(frame_size)} must be a multiple of the {model.downscale} "
                "pixels that a token of the tokenizer stands for"
            )
        if context_frames < 1:
            raise ValueError(f"context_frames must be at least 1, got {context_frames}")
        self.tokenizer = Frozen(model)
        self.tokenizer_fingerprint = model.fingerprint
        self.frame_size = tuple(frame_size)
        self.grid = tuple(side // model.downscale for side in frame_size)
        self.tokens_per_frame = self.grid[0] * self.grid[1]
        self.context_frames = context_frames
        self.action_bins = action_bins
        self.num_codes = model.num_codes
        self.vocab_size = self.num_codes + action_bins
        self.register_buffer("action_low", torch.tensor(action_low), persistent=False)
        self.register_buffer("action_high", torch.tensor(action_high), persistent=False)

    @property
    def fingerprint(self) -> str:
        ranges = (self.action_low.tolist(), self.action_high.tolist())
        layout = (self.frame_size, self.context_frames, self.action_bins, *ranges)
        return hashlib.sha256(f"{self.tokenizer_fingerprint} {layout}".encode()).hexdigest()[:16]

    def encode(self, batch: Batch) -> TokenSequence:
        frames = self.frame_tokens(batch)  # [B, T, N]
        actions = self.action_tokens(batch["actions"])  # [B, T, A]
        return self.interleave(frames, actions)

    def template(self, batch: Batch) -> TokenSequence:
        actions = self.action_tokens(batch["actions"])
        given = {k: v[:, : self.context_frames] for k, v in batch.items() if k in TIMED}
        context = self.frame_tokens(batch | given)
        blank = context.new_zeros(len(context), actions.shape[1], context.shape[2])
        blank[:, : self.context_frames] = context
        return self.interleave(blank, actions)

    def decode(self, sequence: TokenSequence) -> Tensor:
        """Predicted frames [B, F, 3, H, W] in [0, 1]."""
        predicted = rearrange(
            sequence.ids[sequence.target_mask],
            "(b f h w) -> (b f) h w",
            b=len(sequence.ids),
            h=self.grid[0],
            w=self.grid[1],
        )
        frames = self.tokenizer.on(predicted.device).decode(predicted)
        return rearrange(frames, "(b f) c h w -> b f c h w", b=len(sequence.ids))

    def target(self, batch: Batch) -> Tensor:
        """True frames [B, F, 3, H, W] in [0, 1]."""
        return self.given_frames(batch)[:, self.context_frames :].float() / 255

    def copy_last(self, batch: Batch) -> Tensor:
        """The last context frame, [B, F, 3, H, W] in [0, 1]."""
        frames = batch["frames"].float() / 255
        last = frames[:, self.context_frames - 1 : self.context_frames]
        return last.expand_as(frames[:, self.context_frames :])

    def legal_tokens(self) -> Tensor:
        return torch.arange(self.vocab_size, device=self.action_low.device) < self.num_codes

    def frame_tokens(self, batch: Batch) -> Tensor:
        """The tokens of every frame, [B, T, N], read from the batch or made from its frames."""
        if "tokens" in batch:
            self.check_tokenizer(batch)
            return batch["tokens"]
        frames = self.given_frames(batch)
        if frames.shape[-2:] != self.frame_size:
            height, width = frames.shape[-2:]
            raise ValueError(
                f"frames are {height}x{width}, but frame_size of the codec is "
                f"{self.frame_size[0]}x{self.frame_size[1]}"
            )
        flat = rearrange(frames, "b t c h w -> (b t) c h w").float() / 255
        codes = self.tokenizer.on(frames.device).encode(flat)
        return rearrange(codes, "(b t) h w -> b t (h w)", b=len(frames))

    def given_frames(self, batch: Batch) -> Tensor:
        """The frames of a batch, uint8 [B, T, 3, H, W]."""
        if "frames" not in batch:
            raise ValueError(
                f"sample {batch['key'][0]} has tokens but no frames, which are needed to score "
                "predictions: use the shards with frames, or write the token shards again with "
                "this split in keep_frames"
            )
        return batch["frames"]

    def check_tokenizer(self, batch: Batch) -> None:
        """Raise ``ValueError`` if the tokens of a batch come from another tokenizer."""
        for key, fingerprint in zip(batch["key"], batch.get("tokenizer", ()), strict=False):
            if fingerprint != self.tokenizer_fingerprint:
                raise ValueError(
                    f"sample {key}: its tokens were made by tokenizer {fingerprint}, but this "
                    f"codec holds {self.tokenizer_fingerprint}; write the token shards again "
                    "(rlvr-world data tokens)"
                )

    def action_tokens(self, actions: Tensor) -> Tensor:
        """Token ids of actions [B, T, S * A]; a stride of S frames has S actions in a row."""
        steps = actions.shape[-1] // len(self.action_low)
        if steps * len(self.action_low) != actions.shape[-1]:
            raise ValueError(
                f"actions have {actions.shape[-1]} dimensions, which is no multiple of the "
                f"{len(self.action_low)} in action_low"
            )
        low, high = self.action_low.repeat(steps), self.action_high.repeat(steps)
        bins = ((actions - low) / (high - low) * self.action_bins).long()
        return bins.clamp(0, self.action_bins - 1) + self.num_codes

    def interleave(self, frames: Tensor, actions: Tensor) -> TokenSequence:
        """One sequence of frames [B, T, N] and the actions [B, T, A] between them."""
        if frames.shape[1] <= self.context_frames:
            raise ValueError(
                f"clips of {frames.shape[1]} frames leave none to predict after "
                f"{self.context_frames} context frames; raise clip_length of the data"
            )
        pairs = torch.cat([frames, actions], dim=-1)
        predicted = torch.zeros_like(pairs, dtype=torch.bool)
        predicted[:, self.context_frames :, : frames.shape[-1]] = True
        length = pairs[0].numel() - actions.shape[-1]
        return TokenSequence(pairs.flatten(1)[:, :length], predicted.flatten(1)[:, :length])
