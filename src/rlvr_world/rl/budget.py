"""Batches of groups in parts: minibatches to learn from, and what fits into memory at once."""

from collections.abc import Iterator
from typing import NamedTuple

import torch

from rlvr_world.types import Rollout, TokenSequence


def check_positive(**settings: float | None) -> None:
    """Raise ``ValueError`` if a setting that is given is not above 0."""
    for name, value in settings.items():
        if value is not None and value <= 0:
            raise ValueError(f"{name} must be above 0, got {value}")


class Part(NamedTuple):
    """Neighbouring rows of a batch of groups: whole groups, or some members of one."""

    rows: slice
    group_size: int

    def prompts(self, group_size: int) -> slice:
        return slice(self.rows.start // group_size, -(-self.rows.stop // group_size))


def split_groups(
    prompts: int, group_size: int, prompt_tokens: int, own_tokens: int, budget: int | None
) -> Iterator[Part]:
    """Parts of a batch of groups that hold at most ``budget`` tokens each, or one part of all.

    A group shares its prompt, so it holds ``prompt_tokens + G * own_tokens`` tokens. Groups stay
    whole where one fits into the budget; otherwise a part is as many members of one group as do,
    and at least one.
    """
    rows = prompts * group_size
    whole = prompt_tokens + group_size * own_tokens
    if budget is None or budget >= whole:
        together = prompts if budget is None else budget // whole
        size = max(together, 1) * group_size
        for start in range(0, rows, size):
            yield Part(slice(start, min(start + size, rows)), group_size)
        return
    size = max((budget - prompt_tokens) // max(own_tokens, 1), 1)
    for first in range(0, rows, group_size):
        for start in range(first, first + group_size, size):
            stop = min(start + size, first + group_size)
            yield Part(slice(start, stop), stop - start)


def sequence_parts(sequence: TokenSequence, group_size: int, budget: int | None) -> Iterator[Part]:
    """Parts of sequences [B * G, T] in groups that hold at most ``budget`` tokens each."""
    prompt = sequence.prompt_length
    own = sequence.target_end - prompt
    return split_groups(len(sequence.ids) // group_size, group_size, prompt, own, budget)


def minibatches(
    rollout: Rollout, group_size: int, count: int, generator: torch.Generator
) -> Iterator[Rollout]:
    """A rollout in ``count`` random parts of whole groups."""
    rows = torch.arange(len(rollout.rewards), device=generator.device).view(-1, group_size)
    if count < 1 or len(rows) % count:
        raise ValueError(f"num_minibatches {count} must divide the {len(rows)} prompts of a batch")
    order = torch.randperm(len(rows), generator=generator, device=generator.device)
    for part in order.chunk(count):
        yield rollout.select(rows[part].flatten())
