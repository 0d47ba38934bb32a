"""The control of stage 3: RL that only makes the model surer of what it says already."""

import torch

from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.types import Batch, Rollout


class SharpeningWorldModel(RLVRWorldModel):
    """RL as in ``RLVRWorldModel``, whose reward is the log-likelihood of the frozen MLE model.

    Nothing of the truth is in it, so what it gains is mere sharpening: its optimum is the
    prediction that MLE holds most likely. A token is worth its own log-probability and those of the
    tokens after it, whatever ``credit`` says. The ``rewards`` are logged and choose the checkpoint
    that is kept; no gradient sees them.

    Args:
        **options: See ``RLVRWorldModel``.
    """

    @torch.no_grad()
    def rollout(self, batch: Batch) -> Rollout:
        rollout = super().rollout(batch)
        log_probs, mask = rollout.reference_log_probs, rollout.sequence.target_mask
        ahead = log_probs.flip(1).cumsum(dim=1).flip(1)  # [B * G, T], from each token on
        groups = log_probs.sum(dim=1).unflatten(0, (-1, self.group_size))
        trained = self.objective.trained_tokens(rollout.sequence, groups, self.codec.end_token)
        advantages = self.objective.advantages(ahead, self.group_size) * mask
        return rollout._replace(trained=trained, advantages=advantages, parabolas=None)
