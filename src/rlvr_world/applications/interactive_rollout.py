"""Predicted frames for actions that come one at a time."""

import copy
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from rlvr_world.modules.world_model import WorldModel
from rlvr_world.nn.sequence_model import Cache
from rlvr_world.rl.budget import check_positive
from rlvr_world.rl.decode import DecodeStep, decode_step, next_logits
from rlvr_world.rl.sampler import Sampler, predicted_runs
from rlvr_world.types import Batch, TokenSequence
from rlvr_world.video.codecs.video_codec import VideoCodec


class InteractiveRollout:
    """What B rows see, frame after frame, while somebody chooses the actions.

    Within the horizon keys and values are kept, so that a frame costs its own tokens only. Then the
    window slides, as that of ``long_rollout``: the last frames are the given ones, what was before
    them is forgotten, and they are read anew; the context frame, if there is one, stays the same.

    Args:
        model: A world model with a codec for video.
        start: The given frames, the actions between them, and their context.
        horizon: Frames that are predicted before the window slides; what the model was trained for,
            or less.
        sampler: How to sample; the model's own distribution if not given.
    """

    def __init__(
        self, model: WorldModel, start: Batch, horizon: int = 1, sampler: Sampler | None = None
    ) -> None:
        check_positive(horizon=horizon)
        self.model, self.codec = model, video_codec(model)
        self.horizon, self.sampler = horizon, sampler or Sampler()
        self.steps = {*start.get("steps", (1,))}.pop()
        self.prefix, self.frames, self.actions = self.read(start)
        self.cache: Cache | None = None
        self.unread = 0

    def read(self, start: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """The tokens of start states: [B, P], of frames [B, W, N], of actions [B, W - 1, A]."""
        prefix, frames = self.codec.tokens(self.codec.given(start))
        return prefix, frames, self.codec.action_tokens(start)[:, : self.codec.window - 1]

    def restart(self, rows: Tensor, start: Batch) -> None:
        """Put the rows with the given indices at other start states; the window of all slides."""
        self.slide()
        for tokens, new in zip(
            (self.prefix, self.frames, self.actions), self.read(start), strict=True
        ):
            tokens[rows] = new

    def slide(self) -> None:
        """Forget what was before the last frames of the window."""
        window = self.codec.window
        self.frames = self.frames[:, -window:].clone()
        self.actions = self.actions[:, self.actions.shape[1] - window + 1 :].clone()
        self.cache = None

    @cached_property
    def runs(self) -> list[tuple[int, int]]:
        """Where the tokens of each predicted frame lie."""
        return predicted_runs(self.template())

    def template(self) -> TokenSequence:
        """The window with blanks for what is not known yet, to the end of the horizon."""
        missing = self.codec.window + self.horizon - self.actions.shape[1]
        blanks = self.actions.new_zeros(len(self.actions), missing, self.actions.shape[2])
        actions = torch.cat([self.actions, blanks], dim=1)
        return self.codec.blank(self.prefix, self.frames, actions)

    def branches(self, rows: Tensor) -> "InteractiveRollout":
        """A rollout that goes on from the given rows, each as often as it is named."""
        other = copy.copy(self)
        other.prefix, other.frames = self.prefix[rows], self.frames[rows]
        other.actions, other.cache = self.actions[rows], None
        return other

    def step(self, actions: Tensor, uniforms: Tensor) -> Tensor:
        """The frames after one more action, [B, 3, H, W] in [0, 1]; see ``advance``."""
        return self.codec.decode(self.advance(actions, uniforms))[:, 0]

    @torch.no_grad()
    def advance(self, actions: Tensor, uniforms: Tensor) -> TokenSequence:
        """Go on by one action, without decoding what comes then.

        Args:
            actions: [B, A], those of one frame.
            uniforms: Random numbers in [0, 1) that the tokens are drawn by, [B, N] float64; a row
                depends on its own numbers only.

        Returns:
            The window, of which the new frame alone counts as predicted.
        """
        if self.frames.shape[1] == self.codec.window + self.horizon:
            self.slide()
        batch = {"actions": actions[:, None], "steps": [self.steps]}
        self.actions = torch.cat([self.actions, self.codec.action_tokens(batch)], dim=1)
        ids, mask, _ = self.template()
        start, stop = self.runs[self.frames.shape[1] - self.codec.window]
        with parametrize.cached(), self.model.backbone.whole():
            self.fill(ids, start, stop, uniforms)
        self.frames = torch.cat([self.frames, ids[:, None, start:stop]], dim=1)
        new = torch.zeros_like(mask)
        new[:, start:stop] = True
        return TokenSequence(ids, new)

    def fill(self, ids: Tensor, start: int, stop: int, uniforms: Tensor) -> None:
        """Draw the tokens of a frame in place, after what was not read yet.

        ``certainty`` [B, N] says afterwards how probable the model held each of them.
        """
        model, legal = self.model.backbone, self.model.legal_tokens()
        if self.cache is None:
            static, capacity = self.sampler.static(ids), ids.shape[1] - start
            hidden, self.cache = model.sampling_cache(ids[:, :start], 1, capacity, static=static)
            self.decode: DecodeStep = decode_step(model, self.cache, self.sampler.compiled)
            logits = model.logits(hidden)
        else:
            logits = next_logits(model, self.cache, ids[:, self.unread : start])
        self.certainty = torch.zeros_like(uniforms)
        for column in range(start, stop):
            if column > start:
                logits = self.decode(ids[:, column - 1 : column])
            index = column - start
            ids[:, column], log_probs = self.sampler.choose(logits, legal, uniforms[:, index])
            self.certainty[:, index] = log_probs.exp()
        self.unread = stop - 1


def video_codec(model: WorldModel) -> VideoCodec:
    """The codec of a world model of video; ``ValueError`` for one of another modality."""
    if not isinstance(model.codec, VideoCodec):
        raise ValueError(
            f"the model's codec is {type(model.codec).__name__}, but frames can be stepped in a "
            "world model of video only; give the checkpoint of one"
        )
    return model.codec
