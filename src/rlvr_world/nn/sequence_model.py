"""What a causal model of token sequences offers to losses and samplers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from rlvr_world.nn.geometry import TokenGeometry

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from rlvr_world.nn.gains import Gains
    from rlvr_world.nn.sharding import Twin

Cache = Any
"""What a model remembers of earlier positions; each model has its own kind."""


class SequenceModel(nn.Module, ABC):
    """A causal model: hidden states of token ids, and logits of hidden states.

    The two are apart so that logits are computed at predicted positions only. ``padding`` [B] is
    the number of leading positions of each row that hold nothing; none if not given.
    """

    is_pretrained: bool = False
    """Whether the weights come from earlier training, so that RLVR can start from them."""

    twin: "Twin | None" = None
    """Its counterpart with whole weights, if its own are split among ranks (``nn.sharding``)."""

    @property
    def layers(self) -> Sequence[nn.Module]:
        """The blocks that it is a stack of."""
        return []

    def whole(self) -> AbstractContextManager["SequenceModel"]:
        """The model with all its weights on this rank; all ranks enter this together.

        Within, each may call it as often as it needs.
        """
        return nullcontext(self) if self.twin is None else self.twin.filled()

    @property
    def gains(self) -> "Gains":
        """Parameters that all logits are proportional to; raises ``ValueError`` if it has none."""
        raise ValueError(
            f"{type(self).__name__} has no gains that scale its logits: leave out temperature_lr"
        )

    def learn_geometry(self, codec: TokenGeometry) -> None:
        """Take what the codec knows of its tokens, once, after construction.

        Raises:
            ValueError: The model was asked to use what the codec does not know.
        """

    @abstractmethod
    def forward(
        self, ids: Tensor, cache: Cache | None = None, padding: Tensor | None = None
    ) -> Tensor:
        """Hidden states [B, T, D] of ids [B, T], which follow what ``cache`` remembers.

        A cache knows the padding of its rows, so ``padding`` goes with no cache only.
        """

    @abstractmethod
    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] of the next token for hidden states [..., D]."""

    @abstractmethod
    def prompt_cache(self, ids: Tensor, padding: Tensor | None = None) -> Cache:
        """Remember prompts [B, P], differentiably.

        A forward pass with this cache takes ids [B * G, T]: the G members of a group share their
        prompt, which is computed once.
        """

    @abstractmethod
    def sampling_cache(
        self,
        ids: Tensor,
        group_size: int,
        capacity: int,
        padding: Tensor | None = None,
        static: bool = False,
    ) -> tuple[Tensor, Cache]:
        """Read prompts [B, P] for sampling G members of at most ``capacity`` new positions each.

        With ``static`` every later pass over as many ids runs the same operations at the same
        shapes and addresses, so that it can be compiled or recorded and replayed.

        Returns:
            The hidden states [B, D] at the last prompt position, and a cache that grows with each
            forward pass over ids [B * G, T].
        """

    def packed(self) -> dict[str, Any]:
        """Arguments, as plain data, in the place of those that name files; none for most models.

        With them and its weights a checkpoint holds all that the model is built from.
        """
        return {}

    @property
    def has_counterpart(self) -> bool:
        """Whether ``transformers`` has a class for it, which the methods below need."""
        return type(self).to_transformers is not SequenceModel.to_transformers

    def to_transformers(self) -> "PreTrainedModel":
        """The same model as ``transformers`` holds it, whole, with a copy of the weights.

        Raises:
            ValueError: This kind of model has no counterpart there; so do the methods below.
        """
        raise ValueError(f"{type(self).__name__} has no counterpart in transformers")

    def export(self, folder: Path) -> None:
        """Write the weights as safetensors, with the config, as ``transformers`` reads them."""
        self.to_transformers().save_pretrained(folder)

    def to_transformers_state(self) -> Iterator[tuple[str, Tensor]]:
        """Names and whole tensors of the weights, as ``transformers`` would save them.

        Other engines take a model over by these names. Weights of a layer follow one another.
        """
        raise ValueError(f"{type(self).__name__} has no counterpart in transformers")


def without_dropout(model: nn.Module) -> None:
    """Turn dropout off, so that sampling and update see the same network."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
