"""What a modality is: a two-way map between batches and token sequences."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
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

    def picture(
        self,
        batch: Batch,
        target: Prediction,
        predictions: Mapping[str, Prediction],
        rows: Sequence[int],
        notes: Mapping[str, Sequence[str]] | None = None,
    ) -> NDArray[np.uint8] | None:
        """Draw predictions beside the truth; None for a modality that is read, not seen.

        Args:
            batch: B transitions.
            target: Their true next states.
            predictions: One prediction for each of them, by name.
            rows: The transitions of the batch to draw.
            notes: What to write beside a prediction: B texts by name, or none.

        Returns:
            The picture, [H, W, 3].
        """
        return None

    @abstractmethod
    def legal_tokens(self) -> Tensor:
        """Which token ids may stand at a predicted position, [V] bool."""
