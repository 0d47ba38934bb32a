"""Fills the predicted positions of token sequences by sampling from a model."""

import copy
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from rlvr_world.nn.sequence_model import SequenceModel
from rlvr_world.rl.budget import check_positive, split_groups
from rlvr_world.rl.decode import decode_step, draw, next_logits, truncate
from rlvr_world.types import TokenSequence

LOOK_FOR_END_EVERY = 8
"""Tokens between two looks at whether all rows have ended, each of which waits for the device."""


@dataclass
class Filling:
    """Rows that are being filled, as views of the whole batch.

    ``sequence`` and ``log_probs``, [N, T], are written in place. ``uniforms`` [N, C] has a random
    number for each of the C predicted ``columns``. ``group_size`` neighbouring rows share a prompt.
    """

    sequence: TokenSequence
    log_probs: Tensor
    uniforms: Tensor
    columns: list[int]
    group_size: int

    @property
    def prompts(self) -> tuple[Tensor, int, int, Tensor | None]:
        length = self.columns[0]
        first = self.sequence.select(slice(None, None, self.group_size))
        capacity = self.sequence.ids.shape[1] - length
        return first.ids[:, :length], self.group_size, capacity, first.padding

    def write(self, index: int, tokens: Tensor, log_probs: Tensor) -> None:
        """Put tokens and their log-probabilities [N] where the rows have not ended."""
        column = self.columns[index]
        open_rows = self.sequence.target_mask[:, column]
        self.sequence.ids[:, column] = tokens.where(open_rows, self.sequence.ids[:, column])
        self.log_probs[:, column] = log_probs.where(open_rows, 0.0)

    def ended(self, index: int, end_token: int) -> bool:
        """Close the rows that have just drawn ``end_token``; whether all are known to be closed."""
        column, (ids, mask, _) = self.columns[index], self.sequence
        closed = (ids[:, column] == end_token)[:, None]
        ids[:, column + 1 :].masked_fill_(closed, end_token)
        mask[:, column + 1 :].masked_fill_(closed, False)
        return index % LOOK_FOR_END_EVERY == 0 and bool(closed.all())


class Sampler:
    """Draws the predicted positions of a template left to right and keeps every given one.

    Args:
        temperature: Divides the logits; 0 takes the most likely token.
        top_k: Draw from the k most likely tokens only; all if not given.
        top_p: Draw from the smallest set of tokens with at least this probability.
        token_budget: The most tokens whose keys and values are held at once, a shared prompt
            counted once; a larger batch is sampled in parts. No limit if not given. The tokens
            drawn do not depend on it.
        compiled: Fuse the step from token to token with ``torch.compile``; the first rollout at
            each shape then takes a minute longer.
    """

    needs_correction = False
    """Whether sampled log-probabilities come from another engine than the policy's own."""

    def __init__(
        self,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        token_budget: int | None = None,
        compiled: bool = False,
    ) -> None:
        if temperature < 0:
            raise ValueError(f"temperature must be at least 0, got {temperature}")
        if top_p is not None and not 0 < top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], got {top_p}")
        check_positive(top_k=top_k, token_budget=token_budget)
        self.temperature = temperature
        self.top_k = top_k
        self.top_p = top_p
        self.token_budget = token_budget
        self.compiled = compiled

    @property
    def is_exact(self) -> bool:
        """Whether samples follow the model's own distribution, as policy gradients need."""
        return self.temperature == 1 and self.top_k is None and self.top_p is None

    @property
    def is_certain(self) -> bool:
        """Whether all samples of a prompt are the same one."""
        return self.temperature == 0

    @property
    def settings(self) -> dict[str, float | int | None]:
        """What a table says of it."""
        return {"temperature": self.temperature, "top_k": self.top_k, "top_p": self.top_p}

    def at(self, temperature: float, top_k: int | None) -> Self:
        """The same sampler at another temperature and top-k."""
        other = copy.copy(self)
        other.temperature, other.top_k = temperature, top_k
        return other

    @torch.no_grad()
    def __call__(
        self,
        model: SequenceModel,
        template: TokenSequence,
        legal_tokens: Tensor,
        group_size: int = 1,
        generator: torch.Generator | None = None,
        end_token: int | None = None,
    ) -> tuple[TokenSequence, Tensor]:
        """Sample ``group_size`` fillings of each template.

        Every row of the template must have the same predicted positions, and at least one given
        position before them. Each prompt is read once for its whole group, and given tokens between
        predicted ones are read in one forward pass. A row that draws ``end_token`` is finished: its
        later positions hold that token and count as given.

        Args:
            model: The model to sample from.
            template: Sequences [B, T] with blank predicted positions.
            legal_tokens: Which tokens may be drawn, [V] bool.
            group_size: G.
            generator: Source of randomness, on the model's device.
            end_token: None if all positions are always filled.

        Returns:
            The filled sequences [B * G, T], members of a group being neighbours, and the
            log-probabilities of the drawn tokens under the model itself, [B * G, T], 0 elsewhere.
        """
        columns = predicted_columns(template)
        prompts, prompt_length = len(template.ids), columns[0]
        sequence = template.repeat(group_size)
        shape, device = (len(sequence.ids), len(columns)), sequence.ids.device
        uniforms = torch.rand(shape, generator=generator, dtype=torch.float64, device=device)
        log_probs = torch.zeros(sequence.ids.shape, device=device)
        own = sequence.ids.shape[1] - prompt_length
        with parametrize.cached():  # tables that are computed are so once in a rollout
            for part in split_groups(prompts, group_size, prompt_length, own, self.token_budget):
                rows = part.rows
                filling = Filling(
                    sequence.select(rows), log_probs[rows], uniforms[rows], columns, part.group_size
                )
                self.fill(model, filling, legal_tokens, end_token)
        if not bool(log_probs.isfinite().all()):
            raise ValueError("the model gives no finite probabilities: its weights have diverged")
        return sequence, log_probs

    def fill(
        self, model: SequenceModel, filling: Filling, legal_tokens: Tensor, end_token: int | None
    ) -> None:
        sequence, read = filling.sequence, filling.columns[0]
        hidden, cache = model.sampling_cache(*filling.prompts, static=self.static(sequence.ids))
        step = decode_step(model, cache, self.compiled)
        logits = model.logits(hidden).repeat_interleave(filling.group_size, dim=0)
        for index, column in enumerate(filling.columns):
            if column > read:
                new = sequence.ids[:, read:column]
                logits = step(new) if column == read + 1 else next_logits(model, cache, new)
                read = column
            filling.write(index, *self.choose(logits, legal_tokens, filling.uniforms[:, index]))
            if end_token is not None and filling.ended(index, end_token):
                break

    def choose(self, logits: Tensor, legal: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [N] for logits [N, V], and their log-probabilities under the model itself."""
        log_probs = logits.float().masked_fill(~legal, float("-inf")).log_softmax(-1)
        if self.temperature == 0:
            tokens = log_probs.argmax(-1)
        elif self.is_exact:
            tokens = draw(log_probs.exp(), uniforms)
        else:
            probs = (log_probs / self.temperature).softmax(-1)
            tokens = draw(truncate(probs, self.top_k, self.top_p), uniforms)
        return tokens, log_probs.gather(1, tokens[:, None]).squeeze(1)

    def static(self, ids: Tensor) -> bool:
        """Whether the step from token to token runs at fixed shapes and addresses."""
        return self.compiled or ids.is_cuda


def predicted_columns(template: TokenSequence) -> list[int]:
    """The predicted positions of a template, which must be the same in every row."""
    mask = template.target_mask
    if not bool((mask == mask[0]).all()):
        raise ValueError("the rows of a template must have the same predicted positions")
    columns = mask[0].nonzero().flatten().tolist()
    if not columns or columns[0] == 0:
        raise ValueError("a template needs a given position and a predicted one after it")
    return columns


def predicted_runs(template: TokenSequence) -> list[tuple[int, int]]:
    """First and past-the-last position of each stretch of predicted positions."""
    columns = predicted_columns(template)
    known = set(columns)
    starts = [column for column in columns if column - 1 not in known]
    stops = [column + 1 for column in columns if column + 1 not in known]
    return list(zip(starts, stops, strict=True))
