"""A rollout by ``generate`` of ``transformers``."""

import itertools

import torch
from torch import Tensor
from transformers import PreTrainedModel

from rlvr_world.rl.sampler import predicted_runs
from rlvr_world.types import TokenSequence


@torch.no_grad()
def generated(model: PreTrainedModel, template: TokenSequence, group_size: int) -> int:
    """Fill ``group_size`` copies of each template; returns the number of sampled tokens.

    The first round has ``generate`` make the members of each group itself. Where given tokens
    stand between rounds, its key-value cache is kept, so that a round reads only what is new.
    """
    runs = predicted_runs(template)
    start, stop = runs[0]
    ids, mask = template.ids[:, :start], visible(template)[:, :start]
    output = sample(model, ids, mask, stop - start, num_return_sequences=group_size)
    repeated = template.repeat(group_size)
    mask = visible(repeated)
    for (_, before), (start, stop) in itertools.pairwise(runs):
        ids = torch.cat([output.sequences, repeated.ids[:, before:start]], dim=1)
        output = sample(
            model, ids, mask[:, :start], stop - start, past_key_values=output.past_key_values
        )
    if output.sequences.shape != repeated.ids.shape:
        raise RuntimeError(f"generate returned {output.sequences.shape}")
    return int(repeated.target_mask.sum())


def sample(
    model: PreTrainedModel, ids: Tensor, mask: Tensor, new: int, **options: object
) -> object:
    """One call of ``generate`` that draws exactly ``new`` tokens from the full distribution."""
    return model.generate(
        ids,
        attention_mask=mask,
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=new,
        eos_token_id=None,
        pad_token_id=0,
        return_dict_in_generate=True,
        **options,
    )


def visible(template: TokenSequence) -> Tensor:
    """Which positions hold something, [B, T] long."""
    positions = torch.arange(template.ids.shape[1], device=template.ids.device)
    padding = torch.zeros_like(template.ids[:, 0]) if template.padding is None else template.padding
    return (positions >= padding[:, None]).long()
