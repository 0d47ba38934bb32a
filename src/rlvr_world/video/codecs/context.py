"""Video, many frames at a time: a context frame as many tokens, the frames after it as few."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlvr_world.types import Batch, TokenSequence
from rlvr_world.video.codecs.geometry import grid_places
from rlvr_world.video.codecs.video_codec import VideoCodec
from rlvr_world.video.tokenizer.compressive import ClipCodes, CompressiveVQModel


class ContextVideoCodec(VideoCodec):
    """A context frame, then frames and actions: ``ctx f0 a0 f1 a1 ... f_T`` (Equation 8).

    The frames after the first ``window`` are predicted, as many as the clip has, which is the
    horizon; every action is given. A batch holds the context frame as ``context``, or as
    ``context_tokens`` beside ``tokens``: see ``context_gap`` of ``VideoDataModule``. Token ids are
    those of the frames, then those of the context frame, then the action bins.

    Args:
        tokenizer: Checkpoint or exported folder of a trained ``CompressiveTokenizer``.
        window: Number of leading frames that are given, besides the context frame.
        last_action: Keep the action of the last frame, which nothing follows, as in the released
            code. It changes no prediction.
        **options: See ``VideoCodec``. No sequence holds the two ids of ``special_tokens``.
    """

    def __init__(
        self,
        tokenizer: Path | CompressiveVQModel,
        action_low: Sequence[float] | None = None,
        action_high: Sequence[float] | None = None,
        window: int = 1,
        last_action: bool = False,
        **options: Any,
    ) -> None:
        if not isinstance(tokenizer, CompressiveVQModel):
            tokenizer = CompressiveVQModel.load(tokenizer)
        if window < 1:
            raise ValueError(f"window must be at least 1, got {window}")
        codes = tokenizer.num_codes + tokenizer.num_context_codes
        super().__init__(
            tokenizer=tokenizer,
            frame_size=tokenizer.frame_size,
            grid=tokenizer.grid,
            codes=codes,
            window=window,
            action_low=action_low,
            action_high=action_high,
            **options,
        )
        self.context_grid = tokenizer.context_grid
        self.last_action = last_action

    @property
    def layout_options(self) -> tuple[str, ...]:
        return ("context", *super().layout_options, *("last_action",) * self.last_action)

    @property
    def prefix_places(self) -> Tensor:
        return grid_places(self.context_grid, 1)

    def tokens(self, batch: Batch) -> tuple[Tensor, Tensor]:
        if "context_tokens" in batch:
            self.check_tokenizer(batch)
            return batch["context_tokens"] + self.num_codes, batch["tokens"]
        if "context" not in batch:
            raise ValueError(
                f"sample {batch['key'][0]} has no context frame; give context_gap to the data"
            )
        frames, context = self.pixels(batch), batch["context"].float() / 255
        codes = self.tokenizer.on(frames.device).encode(context, frames)
        return codes.context.flatten(1) + self.num_codes, codes.frames.flatten(2)

    def as_tokens(self, prefix: Tensor, frames: Tensor) -> Batch:
        return super().as_tokens(prefix, frames) | {"context_tokens": prefix - self.num_codes}

    def sequence(self, prefix: Tensor, frames: Tensor, actions: Tensor) -> TokenSequence:
        ids, mask, _ = self.interleave(frames, actions)
        parts = [prefix, ids, actions[:, -1]] if self.last_action else [prefix, ids]
        given = [torch.zeros_like(part, dtype=torch.bool) for part in parts]
        given[1] = mask
        return TokenSequence(torch.cat(parts, dim=1), torch.cat(given, dim=1))

    def decode(self, sequence: TokenSequence) -> Tensor:
        frames = self.predicted_tokens(sequence).unflatten(2, self.grid)
        codes = ClipCodes(self.context_tokens(sequence), frames)
        return self.tokenizer.on(frames.device).decode(codes)

    def decode_points(self, sequence: TokenSequence, points: Tensor) -> Tensor:
        tokenizer = self.tokenizer.on(points.device)
        return tokenizer.decode_points(self.context_tokens(sequence), self.grids(points))

    def context_tokens(self, sequence: TokenSequence) -> Tensor:
        """The codes of the context frame, [B, h, w]."""
        places = self.context_grid[0] * self.context_grid[1]
        return sequence.ids[:, :places].unflatten(1, self.context_grid) - self.num_codes
