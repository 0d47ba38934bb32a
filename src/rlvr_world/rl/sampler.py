"""Fills the predicted positions of token sequences by sampling from a model."""

import torch
from torch import Tensor

from rlvr_world.nn.sequence_model import SequenceModel
from rlvr_world.types import TokenSequence


class Sampler:
    """Draws the predicted positions of a template left to right and keeps every given one.

    Args:
        temperature: Divides the logits; 0 takes the most likely token.
        top_k: Draw from the k most likely tokens only; all if not given.
        top_p: Draw from the smallest set of tokens with at least this probability.
    """

    def __init__(
        self, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
    ) -> None:
        if temperature < 0:
            raise ValueError(f"temperature must be at least 0, got {temperature}")
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        if top_p is not None and not 0 < top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], got {top_p}")
        self.temperature = temperature
        self.top_k = top_k
        self.top_p = top_p

    @property
    def is_exact(self) -> bool:
        """Whether samples follow the model's own distribution, as policy gradients need."""
        return self.temperature == 1 and self.top_k is None and self.top_p is None

    @torch.no_grad()
    def __call__(
        self,
        model: SequenceModel,
        template: TokenSequence,
        legal_tokens: Tensor,
        group_size: int = 1,
        generator: torch.Generator | None = None,
    ) -> tuple[TokenSequence, Tensor]:
        """Sample ``group_size`` fillings of each template.

        Every row of the template must have the same predicted positions, and at least one given
        position before them. Each prompt is read once for its whole group, and given tokens between
        predicted ones are read in one forward pass.

        Args:
            model: The model to sample from.
            template: Sequences [B, T] with blank predicted positions.
            legal_tokens: Which tokens may be drawn, [V] bool.
            group_size: G, the number of fillings for each template.
            generator: Source of randomness, on the model's device.

        Returns:
            The filled sequences [B * G, T], members of a group being neighbours, and the
            log-probabilities of the drawn tokens under the model itself, [B * G, T], 0 elsewhere.
        """
        columns = predicted_columns(template)
        prompt_length = columns[0]
        sequence = template.repeat(group_size)
        ids = sequence.ids.clone()
        log_probs = torch.zeros(ids.shape, device=ids.device)
        hidden, cache = model.sampling_cache(
            template.ids[:, :prompt_length], group_size, ids.shape[1] - prompt_length
        )
        hidden = hidden.repeat_interleave(group_size, dim=0)
        read = prompt_length
        for column in columns:
            if column > read:
                hidden = model(ids[:, read:column], cache)[:, -1]
                read = column
            logits = model.logits(hidden).float().masked_fill(~legal_tokens, float("-inf"))
            ids[:, column] = self.draw(logits, generator)
            chosen = logits.log_softmax(-1).gather(1, ids[:, column : column + 1])
            log_probs[:, column] = chosen.squeeze(1)
        return TokenSequence(ids, sequence.target_mask), log_probs

    def draw(self, logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One token per row of logits [N, V]."""
        if self.temperature == 0:
            return logits.argmax(-1)
        probs = truncate((logits / self.temperature).softmax(-1), self.top_k, self.top_p)
        mass = probs.double().cumsum(-1)  # [N, V]; one random number per row is all it takes
        shape, place = (len(probs), 1), {"device": probs.device, "dtype": mass.dtype}
        threshold = torch.rand(shape, generator=generator, **place) * mass[:, -1:]
        return torch.searchsorted(mass, threshold, right=True).squeeze(1)


def truncate(probs: Tensor, top_k: int | None, top_p: float | None) -> Tensor:
    """Zero the tokens outside the k most likely and outside the nucleus of mass p, [N, V]."""
    if top_k is not None and top_k < probs.shape[-1]:
        threshold = probs.topk(top_k, dim=-1).values[..., -1:]
        probs = probs.where(probs >= threshold, 0.0)
    if top_p is not None and top_p < 1:
        ordered, order = (probs / probs.sum(-1, keepdim=True)).sort(dim=-1, descending=True)
        outside = (ordered.cumsum(-1) - ordered) >= top_p
        probs = probs.masked_fill(outside.gather(-1, order.argsort(-1)), 0.0)
    return probs


def predicted_columns(template: TokenSequence) -> list[int]:
    """The predicted positions of a template, which must be the same in every row."""
    mask = template.target_mask
    if not bool((mask == mask[0]).all()):
        raise ValueError("the rows of a template must have the same predicted positions")
    columns = mask[0].nonzero().flatten().tolist()
    if not columns or columns[0] == 0:
        raise ValueError("a template needs a given position and a predicted one after it")
    return columns
