"""Models of ``transformers`` that read the prompt which the members of a group share once for all.

Their own caches hold the prompt once for each member, and copy all of it at every token.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from rlvr_world.nn.attention import Attend, PromptCache, SamplingCache

NAME = "rlvr_world_shared_prompts"
"""What ``transformers`` knows our attention by; it makes no masks for it, the cache knows them."""


class SharedPromptCache(SamplingCache):
    """The prompts that a model of ``transformers`` has read, and what each member adds to them.

    Args:
        states: What the model remembers of prompts [B, P].
        length: P.
        padding: The number of leading positions of each prompt that hold nothing, [B].
        group_size: Members of each prompt.
        capacity: Positions that each adds at most.
        static: Keep all shapes and addresses the same from pass to pass.
    """

    def __init__(
        self,
        states: Cache,
        length: int,
        padding: Tensor | None,
        group_size: int,
        capacity: int,
        static: bool,
    ) -> None:
        prompt = PromptCache(len(states.layers), padding)
        prompt.length = length
        known: Any
        for layer, known in zip(prompt.layers, states.layers, strict=True):
            layer.key, layer.value = known.keys, known.values
        super().__init__(prompt, group_size, capacity, static)
        self.padding = None if padding is None else padding.repeat_interleave(group_size)

    def positions(self, rows: int, new: int) -> Tensor:
        """Where the next ``new`` tokens of each row stand, padding not counted, [rows, new]."""
        places = (torch.arange(new, device=self.device) + self.length).expand(rows, -1)
        return places if self.padding is None else places - self.padding[:, None]


def can_share(model: PreTrainedModel, states: Cache) -> bool:
    """Whether each layer attends to all that came before, by the attention that is set."""
    capped = getattr(model.config, "attn_logit_softcapping", None)
    plain = all(type(layer) is DynamicLayer for layer in states.layers)
    return bool(model._supports_attention_backend) and plain and capped is None


@contextmanager
def shared_attention(model: PreTrainedModel) -> Iterator[None]:
    """Within, layers attend as the ``attends`` say that the model is called with."""
    own = model.config._attn_implementation
    model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = own


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    attends: Sequence[Attend],
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """A layer's attention to prompts and own positions, [N, T, H, D], as ``transformers`` asks.

    Args:
        module: The layer, which knows its number.
        query: [N, H, T, D].
        key: [N, K, T, D], of the new positions alone, like the values.
        value: [N, K, T, D].
        attention_mask: Not there.
        attends: The attention of each layer.
        scaling: What products of queries and keys are multiplied with; D^-0.5 if not given.
        **options: What else ``transformers`` says, none of which changes the result.
    """
    if scaling is not None:
        query = query * (scaling * query.shape[-1] ** 0.5)
    mixed = attends[cast(int, module.layer_idx)](query, key, value)
    return mixed.transpose(1, 2), None


ALL_ATTENTION_FUNCTIONS.register(NAME, attend)
