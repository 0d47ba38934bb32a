"""What a causal model of token sequences offers to losses and samplers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn


class LayerCache(Protocol):
    """The keys and values that one attention layer remembers."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend from new positions, [N, H, T, D], to the remembered ones and to themselves."""


class Cache(ABC):
    """What the layers of a model remember of earlier positions."""

    length: int
    """The number of positions remembered."""

    layers: Sequence[LayerCache]

    @abstractmethod
    def advance(self, length: int) -> None:
        """Note that ``length`` more positions have passed through every layer."""


class SequenceModel(nn.Module, ABC):
    """A causal model: hidden states of token ids, and logits of hidden states.

    The two are apart so that logits are computed at predicted positions only.
    """

    @abstractmethod
    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """Hidden states [B, T, D] of ids [B, T], which follow what ``cache`` remembers."""

    @abstractmethod
    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] of the next token for hidden states [..., D]."""

    @abstractmethod
    def prompt_cache(self, ids: Tensor) -> Cache:
        """Remember prompts [B, P], differentiably.

        A forward pass with this cache takes ids [B * G, T]: the G members of a group share their
        prompt, which is computed once.
        """

    @abstractmethod
    def sampling_cache(self, ids: Tensor, group_size: int, capacity: int) -> tuple[Tensor, Cache]:
        """Read prompts [B, P] for sampling G members of ``capacity`` new positions each.

        Returns:
            The hidden states [B, D] at the last prompt position, and a cache that grows with each
            forward pass over ids [B * G, T].
        """
