"""Training on what a model itself predicted before, as it will be used."""

import random
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from rlvr_world.modules.world_model import WorldModel
from rlvr_world.rl.budget import check_positive
from rlvr_world.types import Batch
from rlvr_world.video.long_rollout import sampled_parts, video_codec

TIMED = ("frames", "tokens", "actions", "states")
"""The entries of a batch with one value for each frame."""


class OwnHistory(Callback):
    """Lets training begin from frames that the model itself predicted, with the truth as the goal.

    In tables the given frames are true, in use they are soon the model's own, with its mistakes.
    Here each training batch goes on from 0 to ``steps`` frames of its own, as many as is drawn for
    each batch (validation and tests go on from true ones). With ``MLEWorldModel`` this is scheduled
    sampling (Bengio et al., 2015), whose labels are the true tokens; with ``RLVRWorldModel``
    predictions from such histories are rewarded by the true frames. Clips have to be ``steps``
    frames longer than those that are trained on: raise ``clip_length`` of the data. Each step
    costs the sampling of a frame.

    Args:
        steps: The most frames of a history that are the model's own.
    """

    def __init__(self, steps: int = 6) -> None:
        check_positive(steps=steps)
        self.steps = steps

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        model = world_model(pl_module)
        drawn = random.Random(f"{model.seed} {model.batches_seen}")  # the same on all ranks
        own, source = drawn.randint(0, self.steps), model.generator(model.batches_seen, 2)
        batch.update(own_history(model, batch, self.steps, own, source))

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        batch.update(own_history(world_model(pl_module), batch, self.steps, 0))

    on_test_batch_start = on_validation_batch_start


def world_model(module: LightningModule) -> WorldModel:
    """The module that is trained; raises ``ValueError`` if it is another stage."""
    if not isinstance(module, WorldModel):
        name = type(module).__name__
        raise ValueError(f"OwnHistory is for world models of video, not for {name}; leave it out")
    return module


@torch.no_grad()
def own_history(
    model: WorldModel, batch: Batch, steps: int, own: int, generator: torch.Generator | None = None
) -> dict[str, Any]:
    """What of a batch changes when ``own`` frames are predicted before the clip begins.

    Args:
        model: A world model of video.
        batch: Clips of ``steps`` more frames than the model is trained on.
        steps: The most frames that may be the model's own.
        own: How many are.
        generator: Source of randomness.

    Returns:
        Clips that begin ``own`` frames later, whose given tokens are the model's own as far as it
        predicted them. The frames are true, those that are given too.
    """
    codec = video_codec(model)
    window = codec.window
    length = batch["actions"].shape[1] - steps
    if length <= window:
        raise ValueError(
            f"OwnHistory: clips of {length + steps} frames leave none to predict after {steps} of "
            f"the model's own and {window} given ones; raise clip_length of the data"
        )
    prefix, frames = codec.tokens(batch)
    if own:
        given, actions = frames[:, :window], codec.action_tokens(batch)[:, : window + own]
        parts = sampled_parts(model, prefix, given, actions, length - window, generator=generator)
        drawn = [codec.predicted_tokens(part) for part in parts]
        frames = torch.cat([given, *drawn, frames[:, window + own :]], dim=1)
    kept = slice(own, own + length)
    later = {name: batch[name][:, kept] for name in TIMED if name in batch}
    return later | codec.as_tokens(prefix, frames[:, kept])
