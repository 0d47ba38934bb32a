"""What the codecs of video share: given and predicted frames with actions between them."""

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from rlvr_world.codec import Codec
from rlvr_world.frozen import Frozen
from rlvr_world.nn.transformer import Transformer
from rlvr_world.types import Batch, Prediction, TokenSequence
from rlvr_world.video.codecs.action_range import DataRange, Limits, action_limits
from rlvr_world.video.codecs.geometry import bin_features, grid_places
from rlvr_world.video.filmstrip import Pixels, draw_clips, draw_motion
from rlvr_world.video.published.folders import write_published
from rlvr_world.video.tokenizer.tokenizer_model import TokenizerModel

TIMED = ("frames", "tokens")
"""The entries of a batch with one value for each frame that the codec reads."""

FEATURES: dict[str, Tensor | None] = {}
"""What the codes of the latest tokenizer have in common, by its fingerprint: models share them."""


class VideoCodec(Codec):
    """Frames as tokens of a frozen tokenizer, actions as bins between them.

    Args:
        tokenizer: The tokenizer.
        frame_size: Height and width of the frames in pixels.
        grid: Height and width of a predicted frame in tokens.
        codes: Number of token ids that frames take up; those of action bins follow.
        window: Number of leading frames that are given.
        action_low: Lower end of the range of each action dimension.
        action_high: Upper end of the range of each action dimension.
        action_bins: Number of equal bins of each action dimension (256 in the paper).
        special_tokens: Reserve the last two ids for a beginning and an end token, as in the
            published checkpoints.
        action_range: Takes the ranges from the data, or from the checkpoint of a world model;
            ``action_low`` and ``action_high`` then do not count.
        stride: Actions for each frame, as many as the ``stride`` of the data; a model that learns
            places (``frames`` of ``Transformer``) has to know it.
    """

    action_low: Tensor
    action_high: Tensor
    known_points: Tensor

    def __init__(
        self,
        tokenizer: TokenizerModel,
        frame_size: Sequence[int],
        grid: Sequence[int],
        codes: int,
        window: int,
        action_low: Sequence[float] | None,
        action_high: Sequence[float] | None,
        action_bins: int = 256,
        special_tokens: bool = False,
        action_range: DataRange | Path | None = None,
        stride: int = 1,
    ) -> None:
        super().__init__()
        lows, highs = action_limits(action_low, action_high, action_range)
        if len(lows) != len(highs) or not all(
            low < high for low, high in zip(lows, highs, strict=False)
        ):
            raise ValueError("action_low and action_high must be as long, and low below high")
        self.tokenizer = Frozen(tokenizer)
        self.tokenizer_fingerprint = tokenizer.fingerprint
        self.num_codes = tokenizer.num_codes
        self.frame_size = tuple(frame_size)
        self.grid = self.patch_grid = (grid[0], grid[1])
        self.tokens_per_frame = grid[0] * grid[1]
        self.window = window
        self.action_bins = action_bins
        self.action_offset = codes
        self.special_tokens = special_tokens
        self.stride, self.knows_stride = stride, False
        self.vocab_size = codes + action_bins + 2 * special_tokens
        points = tokenizer.quantizer.points()
        points = F.pad(points, (0, 0, 0, self.vocab_size - len(points)))
        self.register_buffer("known_points", points, persistent=False)
        self.register_buffer("action_low", torch.tensor(lows), persistent=False)
        self.register_buffer("action_high", torch.tensor(highs), persistent=False)

    @property
    def fingerprint(self) -> str:
        ranges = (self.action_low.tolist(), self.action_high.tolist())
        layout = (self.frame_size, self.window, self.action_bins, *ranges, *self.layout_options)
        return hashlib.sha256(f"{self.tokenizer_fingerprint} {layout}".encode()).hexdigest()[:16]

    @property
    def layout_options(self) -> tuple[str, ...]:
        """The names of the options of the layout that are on."""
        return ("special_tokens",) * self.special_tokens

    def packed(self) -> dict[str, Any]:
        limits = Limits(self.action_low.tolist(), self.action_high.tolist())
        return {"tokenizer": self.tokenizer.module.packed(), "action_range": limits._asdict()}

    def export(self, backbone: Any, folder: Path) -> None:
        """Write the sequence model, under the published names if the token ids are those."""
        if self.special_tokens and isinstance(backbone, Transformer):
            write_published(backbone, folder)
        else:
            super().export(backbone, folder)

    def features(self) -> Tensor | None:
        if self.tokenizer_fingerprint not in FEATURES:
            FEATURES.clear()
            FEATURES[self.tokenizer_fingerprint] = self.tokenizer.module.code_features()
        codes = FEATURES[self.tokenizer_fingerprint]
        if codes is None:
            return None
        features = torch.block_diag(codes, bin_features(self.action_bins))
        return F.pad(features, (0, 0, 0, 2 * self.special_tokens))

    def points(self) -> Tensor:
        return self.known_points

    def places(self, frames: int) -> Tensor:
        if frames <= self.window:
            raise ValueError(
                f"backbone.frames must be above the {self.window} given frames, got {frames}"
            )
        self.knows_stride = True
        prefix = self.prefix_places
        first = int(len(prefix) > 0) + 1
        codes = torch.stack([grid_places(self.grid, first + step) for step in range(frames)])
        actions = torch.zeros(1, frames, self.stride * len(self.action_low), dtype=torch.long)
        orders = []
        for axis in range(3):
            sequence = self.sequence(prefix[None, :, axis], codes[None, ..., axis], actions)
            orders.append(sequence.ids[0].masked_fill(self.marks(sequence)[0], 0))
        return torch.stack(orders, dim=1)

    @property
    def prefix_places(self) -> Tensor:
        """Row, column and frame of each token before the frames, [P, 3]; there are none."""
        return torch.zeros(0, 3, dtype=torch.long)

    def encode(self, batch: Batch) -> TokenSequence:
        prefix, frames = self.tokens(batch)
        return self.sequence(prefix, frames, self.action_tokens(batch))

    def template(self, batch: Batch) -> TokenSequence:
        prefix, frames = self.tokens(self.given(batch))
        return self.blank(prefix, frames, self.action_tokens(batch))

    def given(self, batch: Batch) -> Batch:
        return batch | {name: batch[name][:, : self.window] for name in TIMED if name in batch}

    def blank(self, prefix: Tensor, frames: Tensor, actions: Tensor) -> TokenSequence:
        """A template of given frames [B, W, N] and of as many more as there are actions for."""
        missing = max(actions.shape[1] - frames.shape[1], 0)
        blanks = frames.new_zeros(len(frames), missing, frames.shape[2])
        return self.sequence(prefix, torch.cat([frames, blanks], dim=1), actions)

    @abstractmethod
    def tokens(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The token ids before the frames, [B, P], and those of the frames, [B, T, N]."""

    def as_tokens(self, prefix: Tensor, frames: Tensor) -> Batch:
        """The entries of a batch from which ``tokens`` reads these."""
        names = [self.tokenizer_fingerprint] * len(frames)
        return {"tokens": frames, "tokenizer": names}

    @abstractmethod
    def sequence(self, prefix: Tensor, frames: Tensor, actions: Tensor) -> TokenSequence:
        """One sequence of what ``tokens`` returns and the tokens of actions [B, T, A]."""

    def grids(self, points: Tensor) -> Tensor:
        """Points [N, K, L] of predicted tokens as those of frames, [N, F, L, h, w]."""
        rows, columns = self.grid
        return rearrange(points, "n (f h w) l -> n f l h w", h=rows, w=columns)

    def predicted_tokens(self, sequence: TokenSequence) -> Tensor:
        """The tokens of the predicted frames, [B, F, N]."""
        ids = sequence.ids[sequence.target_mask]
        return ids.view(len(sequence.ids), -1, self.tokens_per_frame)

    def target(self, batch: Batch) -> Tensor:
        """True frames [B, F, 3, H, W] in [0, 1]."""
        return self.given_frames(batch)[:, self.window :].float() / 255

    def copy_last(self, batch: Batch) -> Tensor:
        frames = batch["frames"].float() / 255
        return frames[:, self.window - 1 : self.window].expand_as(frames[:, self.window :])

    def picture(
        self,
        batch: Batch,
        target: Prediction,
        predictions: Mapping[str, Prediction],
        rows: Sequence[int],
        notes: Mapping[str, Sequence[str]] | None = None,
    ) -> Pixels:
        return draw_clips(self.given_frames(batch), target, predictions, rows, notes)

    def clip(
        self,
        batch: Batch,
        target: Prediction,
        predictions: Mapping[str, Prediction],
        rows: Sequence[int],
    ) -> Pixels | None:
        """Given and predicted frames in motion, if several are predicted."""
        if target.shape[1] < 2:
            return None
        return draw_motion(self.given_frames(batch), target, predictions, rows)

    def legal_tokens(self) -> Tensor:
        return torch.arange(self.vocab_size, device=self.action_low.device) < self.num_codes

    def pixels(self, batch: Batch) -> Tensor:
        """The frames of a batch as the tokenizer reads them, float [B, T, 3, H, W] in [0, 1]."""
        frames = self.given_frames(batch)
        if frames.shape[-2:] != self.frame_size:
            height, width = frames.shape[-2:]
            raise ValueError(
                f"frames are {height}x{width}, but frame_size of the codec is "
                f"{self.frame_size[0]}x{self.frame_size[1]}"
            )
        return frames.float() / 255

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
        for key, fingerprint in zip(batch["key"], batch.get("tokenizer", ()), strict=False):
            if fingerprint != self.tokenizer_fingerprint:
                raise ValueError(
                    f"sample {key}: its tokens were made by tokenizer {fingerprint}, but this "
                    f"codec holds {self.tokenizer_fingerprint}; write the token shards again "
                    "(rlvr-world data tokens)"
                )

    def action_tokens(self, batch: Batch) -> Tensor:
        """Token ids of actions [B, T, S * A], of which ``steps`` says how many, S, are in a row.

        There is one if the batch has no ``steps``.
        """
        actions, steps = batch["actions"], {*batch.get("steps", (1,))}.pop()
        if steps * len(self.action_low) != actions.shape[-1]:
            raise ValueError(
                f"action_low has {len(self.action_low)} dimensions, but actions have "
                f"{actions.shape[-1] / steps:g} (at {steps} per frame): give the range of each, or "
                "those of the data with action_range"
            )
        if self.knows_stride and steps != self.stride:
            raise ValueError(
                f"codec.stride is {self.stride}, but the data has {steps} actions for each frame; "
                "give it the stride of the data"
            )
        low, high = self.action_low.repeat(steps), self.action_high.repeat(steps)
        bins = ((actions - low) / (high - low) * self.action_bins).long()
        return bins.clamp(0, self.action_bins - 1) + self.action_offset

    def interleave(self, frames: Tensor, actions: Tensor) -> TokenSequence:
        """Frames [B, T, N], each with the action [B, T, A] after it, without the last action."""
        if frames.shape[1] <= self.window:
            raise ValueError(
                f"clips of {frames.shape[1]} frames leave none to predict after "
                f"{self.window} given frames; raise clip_length of the data"
            )
        pairs = torch.cat([frames, actions], dim=-1)
        predicted = torch.zeros_like(pairs, dtype=torch.bool)
        predicted[:, self.window :, : frames.shape[-1]] = True
        length = pairs[0].numel() - actions.shape[-1]
        return TokenSequence(pairs.flatten(1)[:, :length], predicted.flatten(1)[:, :length])
