"""Predictions that go on beyond the horizon a world model was trained for."""

from typing import Any

import torch
from torch import Tensor

from rlvr_world.modules.prediction_rule import PredictionRule
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.reward import RewardSet, repeat
from rlvr_world.rl.budget import check_positive
from rlvr_world.rl.sampler import Sampler
from rlvr_world.types import Batch, TokenSequence
from rlvr_world.video.codecs.video_codec import VideoCodec


@torch.no_grad()
def long_rollout(
    model: WorldModel,
    batch: Batch,
    horizon: int,
    sampler: Sampler | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Sample as many frames as there are actions for, ``horizon`` frames at a time.

    The window slides: the last frames of each part are the given ones of the next, whatever was
    before them is forgotten, and the context frame, if the codec has one, stays the same.

    Args:
        model: A world model with a codec for video.
        batch: ``actions`` [B, T, A], of which step t leads from frame t to t + 1, and the given
            frames (and more, which are not looked at) with their context.
        horizon: Frames that are predicted before the window moves on; what the model was trained
            for, or less.
        sampler: How to sample; the model's own distribution if not given.
        generator: Source of randomness, on the model's device.

    Returns:
        The predicted frames [B, T - W, 3, H, W] in [0, 1], for a window of W given frames.
    """
    codec = video_codec(model)
    given, actions = codec.tokens(codec.given(batch)), codec.action_tokens(batch)
    parts = sampled_parts(model, *given, actions, horizon, sampler, generator)
    if not parts:
        raise ValueError(f"the actions of {codec.window} given frames leave no frame to predict")
    return torch.cat([codec.decode(part) for part in parts], dim=1)


def video_codec(model: WorldModel) -> VideoCodec:
    """The codec of a model of video; raises ``ValueError`` for another one."""
    if not isinstance(model.codec, VideoCodec):
        name = type(model.codec).__name__
        raise ValueError(f"the window slides over frames of a codec for video, not of {name}")
    return model.codec


def sampled_parts(
    model: WorldModel,
    prefix: Tensor,
    frames: Tensor,
    actions: Tensor,
    horizon: int,
    sampler: Sampler | None = None,
    generator: torch.Generator | None = None,
) -> list[TokenSequence]:
    """The filled sequences of parts of ``horizon`` frames each, for actions [B, T, A] in all."""
    check_positive(horizon=horizon)
    codec, sampler, window = video_codec(model), sampler or Sampler(), frames.shape[1]
    legal, parts = model.legal_tokens(), []
    with model.backbone.whole() as backbone:
        while frames.shape[1] < actions.shape[1]:
            start = frames.shape[1] - window
            steps = actions[:, start : start + window + horizon]
            template = codec.blank(prefix, frames[:, start:], steps)
            filled, _ = sampler(backbone, template, legal, generator=generator)
            parts.append(filled)
            frames = torch.cat([frames, codec.predicted_tokens(filled)], dim=1)
    return parts


class SlidingWindow(PredictionRule):
    """Predicts clips that are longer than what a model was trained for, see ``long_rollout``.

    Args:
        horizon: Frames that are predicted before the window moves on.
        **settings: How they are sampled, see ``Sampler``.
    """

    has_likelihood = False

    def __init__(self, horizon: int = 1, **settings: Any) -> None:
        check_positive(horizon=horizon)
        self.horizon, self.sampler = horizon, Sampler(**settings)

    @property
    def settings(self) -> dict[str, float | int | None]:
        return self.sampler.settings | {"horizon": self.horizon}

    def at(self, temperature: float, top_k: int | None) -> "SlidingWindow":
        return SlidingWindow(self.horizon, temperature=temperature, top_k=top_k)

    def predict(
        self,
        model: WorldModel,
        batch: Batch,
        rewards: RewardSet,
        count: int = 1,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        return long_rollout(model, repeat(batch, count), self.horizon, self.sampler, generator)
