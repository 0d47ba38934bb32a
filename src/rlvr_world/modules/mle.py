"""Stage 2: maximum likelihood."""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from rlvr_world.modules.world_model import WorldModel
from rlvr_world.types import Batch, TokenSequence


class MLEWorldModel(WorldModel):
    """A world model that learns to make the true next states likely (Equation 1 of the paper).

    The loss of an optimizer step is the mean over its predicted tokens: those of all ranks and of
    all batches that ``accumulate_grad_batches`` takes together, however long each answer is. Ranks
    divide by the mean number of tokens on a rank, since the gradient is that of their losses' mean.

    Args:
        prompt_weight: Weight of a second loss, the mean over the prompts' tokens. A model from
            random weights learns to copy names from it, of which prompts hold more than answers.
            Among accumulated batches, each one's mean counts as its answers do.
        learn_marks: Learn the codec's ``marks`` too, and with them all that a softmax over all ids
            knows, as published models have: the beginning and the end token of a predicted frame.
        **options: See ``WorldModel``.
    """

    def __init__(
        self, prompt_weight: float = 0.0, learn_marks: bool = False, **options: Any
    ) -> None:
        super().__init__(**options)
        if prompt_weight < 0:
            raise ValueError(f"prompt_weight must not be negative, got {prompt_weight}")
        self.prompt_weight, self.learn_marks = prompt_weight, learn_marks
        self.tokens = self.kept_share = torch.tensor(0.0)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        sequence, legal = self.codec.encode(batch), self.legal_tokens()
        answers = sequence.target_mask
        if self.learn_marks:
            answers, legal = answers | self.codec.marks(sequence), torch.ones_like(legal)
            sequence = sequence._replace(target_mask=answers)
        tokens = self.over_ranks(answers.sum()).clamp(min=1e-9)
        if self.prompt_weight == 0:
            loss = -(self.log_probs(sequence, legal=legal) * answers).sum() / tokens
        else:
            prompts = prompt_mask(sequence, self.legal_tokens())
            known = sequence._replace(target_mask=answers | prompts)
            log_probs = self.log_probs(known, legal=legal)
            loss = -(log_probs * answers).sum() / tokens
            prompt_tokens = self.over_ranks(prompts.sum()).clamp(min=1e-9)
            prompt_loss = -(log_probs * prompts).sum() / prompt_tokens
            self.log("train/prompt_loss", prompt_loss, sync_dist=True)
            self.log("train/answer_loss", loss, sync_dist=True)
            loss = loss + self.prompt_weight * prompt_loss
        self.log("train/loss", loss, prog_bar=True, sync_dist=True)
        return self.accumulated(loss, tokens)

    def accumulated(self, loss: Tensor, tokens: Tensor) -> Tensor:
        """The loss of a batch as a share of that of all batches since the last optimizer step."""
        so_far = self.tokens.to(tokens.device)
        self.tokens = so_far + tokens
        self.kept_share = so_far / self.tokens
        return loss * self.batches_per_step * tokens / self.tokens

    @property
    def batches_per_step(self) -> int:
        """Batches whose gradients are accumulated, by the mean of whose losses Lightning goes."""
        return self.trainer.accumulate_grad_batches if self._trainer else 1

    def on_before_backward(self, loss: Tensor) -> None:
        super().on_before_backward(loss)
        if self.batches_per_step > 1:
            groups = self.trainer.optimizers[0].param_groups
            for parameter in (p for group in groups for p in group["params"]):
                if parameter.grad is not None:
                    parameter.grad *= self.kept_share

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        super().on_before_optimizer_step(optimizer)
        self.tokens = torch.zeros_like(self.tokens)


def prompt_mask(sequence: TokenSequence, legal: Tensor) -> Tensor:
    """The given tokens that can be predicted, [B, T]: legal ones before the first predicted one.

    The first token of a row has nothing before it, so it does not count.
    """
    positions = torch.arange(sequence.ids.shape[1], device=sequence.ids.device)
    first = 0 if sequence.padding is None else sequence.padding[:, None]
    given = (positions > first) & (positions < sequence.prompt_length)
    return given & legal[sequence.ids]
