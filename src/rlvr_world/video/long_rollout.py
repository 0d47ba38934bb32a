"""Predictions that go on beyond the horizon a world model was trained for."""

import torch
from torch import Tensor

from rlvr_world.modules.world_model import WorldModel
from rlvr_world.rl.sampler import Sampler
from rlvr_world.types import Batch
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
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1, got {horizon}")
    codec, sampler = model.codec, sampler or Sampler()
    if not isinstance(codec, VideoCodec):
        raise ValueError(f"long_rollout needs a codec for video, not a {type(codec).__name__}")
    window = codec.window
    prefix, frames = codec.tokens(codec.given(batch))  # [B, P], [B, W, N]
    actions, predicted = codec.action_tokens(batch), []
    while frames.shape[1] < actions.shape[1]:
        start = frames.shape[1] - window
        steps = actions[:, start : start + window + horizon]
        template = codec.blank(prefix, frames[:, start:], steps)
        filled, _ = sampler(model.backbone, template, model.legal_tokens(), generator=generator)
        predicted.append(codec.decode(filled))
        frames = torch.cat([frames, codec.predicted_tokens(filled)], dim=1)
    if not predicted:
        raise ValueError(f"the actions of {window} given frames leave no frame to predict")
    return torch.cat(predicted, dim=1)
