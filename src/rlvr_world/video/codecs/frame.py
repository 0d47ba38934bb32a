"""Video, frame by frame: every frame as tokens of its own, actions as 256 bins between them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from rlvr_world.types import Batch, TokenSequence
from rlvr_world.video.codecs.video_codec import VideoCodec
from rlvr_world.video.tokenizer.vq_model import VQModel


class FrameCodec(VideoCodec):
    """Frames and actions as one sequence ``f1 a1 f2 a2 ... f_T`` (Equation 7 of the paper).

    The frames after the first ``context_frames`` are predicted; every action is given. A clip of
    ``context_frames + 1`` frames is the paper's single-step prediction.

    Args:
        tokenizer: Checkpoint or exported folder of a trained ``VQTokenizer``.
        context_frames: Number of leading frames that are given.
        **options: See ``VideoCodec``. ``special_tokens`` puts a beginning token before the first
            predicted frame and an end token after the last one, both given.
    """

    def __init__(
        self,
        tokenizer: Path | VQModel,
        frame_size: Sequence[int],
        action_low: Sequence[float] | None = None,
        action_high: Sequence[float] | None = None,
        context_frames: int = 4,
        **options: Any,
    ) -> None:
        model = tokenizer if isinstance(tokenizer, VQModel) else VQModel.load(tokenizer)
        if len(frame_size) != 2 or any(s < 1 or s % model.downscale for s in frame_size):
            raise ValueError(
                f"frame_size {tuple(frame_size)} must be height and width, each a multiple of "
                f"the {model.downscale} pixels that a token of the tokenizer stands for"
            )
        if context_frames < 1:
            raise ValueError(f"context_frames must be at least 1, got {context_frames}")
        grid = [side // model.downscale for side in frame_size]
        super().__init__(
            tokenizer=model,
            frame_size=frame_size,
            grid=grid,
            codes=model.num_codes,
            window=context_frames,
            action_low=action_low,
            action_high=action_high,
            **options,
        )
        self.context_frames = context_frames

    def tokens(self, batch: Batch) -> tuple[Tensor, Tensor]:
        frames = self.frame_tokens(batch)
        return frames.new_zeros(len(frames), 0), frames

    def frame_tokens(self, batch: Batch) -> Tensor:
        """The tokens of every frame, [B, T, N], read from the batch or made from its frames."""
        if "tokens" in batch:
            self.check_tokenizer(batch)
            return batch["tokens"]
        frames = self.pixels(batch)
        codes = self.tokenizer.on(frames.device).encode(frames.flatten(0, 1))
        return rearrange(codes, "(b t) h w -> b t (h w)", b=len(frames))

    def sequence(self, prefix: Tensor, frames: Tensor, actions: Tensor) -> TokenSequence:
        ids, mask, _ = self.interleave(frames, actions)
        if not self.special_tokens:
            return TokenSequence(ids, mask)
        start = self.window * (frames.shape[2] + actions.shape[2])
        beginning = ids.new_full((len(ids), 1), self.vocab_size - 2)
        given = torch.zeros_like(beginning, dtype=torch.bool)
        ids = torch.cat([ids[:, :start], beginning, ids[:, start:], beginning + 1], dim=1)
        return TokenSequence(ids, torch.cat([mask[:, :start], given, mask[:, start:], given], 1))

    def marks(self, sequence: TokenSequence) -> Tensor:
        """The beginning and the end token."""
        if not self.special_tokens:
            return super().marks(sequence)
        return sequence.ids >= self.vocab_size - 2

    def decode(self, sequence: TokenSequence) -> Tensor:
        tokens = self.predicted_tokens(sequence)  # [B, F, N]
        codes = tokens.flatten(0, 1).unflatten(1, self.grid)
        frames = self.tokenizer.on(codes.device).decode(codes)
        return frames.unflatten(0, tokens.shape[:2])

    def decode_points(self, sequence: TokenSequence, points: Tensor) -> Tensor:
        grids = self.grids(points)
        frames = self.tokenizer.on(points.device).decode_points(grids.flatten(0, 1))
        return frames.unflatten(0, grids.shape[:2])
