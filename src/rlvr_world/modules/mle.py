"""Stage 2: maximum likelihood."""

from typing import Any

import torch
from torch import Tensor

from rlvr_world.modules.world_model import WorldModel
from rlvr_world.rl.losses import masked_mean
from rlvr_world.types import Batch, TokenSequence


class MLEWorldModel(WorldModel):
    """A world model that learns to make the true next states likely (Equation 1 of the paper).

    Args:
        prompt_weight: Weight of a second loss, the mean over the prompts' tokens. A model from
            random weights learns to copy names from it, of which prompts hold more than answers.
        **options: See ``WorldModel``.
    """

    def __init__(self, prompt_weight: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        if prompt_weight < 0:
            raise ValueError(f"prompt_weight must not be negative, got {prompt_weight}")
        self.prompt_weight = prompt_weight

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        sequence = self.codec.encode(batch)
        if self.prompt_weight == 0:
            loss = self.negative_log_likelihood(sequence)
        else:
            prompts = prompt_mask(sequence, self.legal_tokens())
            known = sequence._replace(target_mask=sequence.target_mask | prompts)
            log_probs = self.log_probs(known)
            loss = -masked_mean(log_probs, sequence.target_mask)
            prompt_loss = -masked_mean(log_probs, prompts)
            self.log("train/prompt_loss", prompt_loss)
            self.log("train/answer_loss", loss)
            loss = loss + self.prompt_weight * prompt_loss
        self.log("train/loss", loss, prog_bar=True)
        return loss


def prompt_mask(sequence: TokenSequence, legal: Tensor) -> Tensor:
    """The given tokens that can be predicted, [B, T]: legal ones before the first predicted one.

    The first token of a row has nothing before it, so it does not count.
    """
    positions = torch.arange(sequence.ids.shape[1], device=sequence.ids.device)
    first = 0 if sequence.padding is None else sequence.padding[:, None]
    given = (positions > first) & (positions < sequence.prompt_length)
    return given & legal[sequence.ids]
