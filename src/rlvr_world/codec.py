"""What a modality is: a two-way map between batches and token sequences."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from rlvr_world.types import Batch, Prediction, TokenSequence


class Codec(nn.Module, ABC):
    """Turns transitions of one modality into token sequences and sampled sequences back."""

    vocab_size: int
    """The number of token ids that sequences may hold."""

    is_lossy: bool = True
    """Whether decoding an encoded state loses something; tables then show that floor."""

    end_token: int | None = None
    """The token that ends a prediction; None if a prediction fills all of its positions."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Identifies the token code; a checkpoint trained on another one cannot be used."""

    @abstractmethod
    def encode(self, batch: Batch) -> TokenSequence:
        """The transition with its true next state: what maximum likelihood trains on."""

    def template(self, batch: Batch) -> TokenSequence:
        """The same positions with the predicted ones still blank: what a rollout fills."""
        return self.encode(batch).blank()

    @abstractmethod
    def decode(self, sequence: TokenSequence) -> Prediction:
        """The predicted next states of filled sequences."""

    @abstractmethod
    def target(self, batch: Batch) -> Prediction:
        """The true next states, in the type that ``decode`` returns."""

    @abstractmethod
    def copy_last(self, batch: Batch) -> Prediction:
        """The last given states as the prediction: nothing changed."""

    def too_long(self, batch: Batch) -> dict[str, int]:
        """How many transitions of a batch are cut because they exceed a limit of the codec.

        By the part that is cut, such as ``prompt``; empty for a codec without limits.
        """
        return {}

    def packed(self) -> dict[str, Any]:
        """What a checkpoint must hold, as plain data, so that the codec needs no other file.

        Entries are arguments of the constructor, except that weights stand for the path of the
        checkpoint that holds them.
        """
        return {}

    def export(self, backbone: Any, folder: Path) -> None:
        """Write a sequence model of these tokens, and what reads the tokens, into a folder.

        Args:
            backbone: The ``SequenceModel``.
            folder: The folder, which is made.

        Raises:
            ValueError: The model has no counterpart in ``transformers``.
        """
        backbone.export(folder)

    @abstractmethod
    def legal_tokens(self) -> Tensor:
        """Which token ids may stand at a predicted position, [V] bool."""
