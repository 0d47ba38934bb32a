"""What a modality is: a two-way map between batches and token sequences."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any

import numpy as np
import torch
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

    patch_grid: tuple[int, int] | None = None
    """Height and width of a predicted frame in tokens, row after row; None if tokens have no such
    order."""

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

    def as_target(self, prediction: Prediction, batch: Batch) -> Prediction:
        """Predictions as true next states, so that other predictions can be scored against them.

        Args:
            prediction: B * G predictions.
            batch: The batch of B transitions.

        Returns:
            B * G states in the type that ``target`` returns; None for one that says no state.
        """
        return prediction

    def given(self, batch: Batch) -> Batch:
        """What is known before the next state, for rewards: the batch, if a codec knows no more."""
        return batch

    @abstractmethod
    def copy_last(self, batch: Batch) -> Prediction:
        """The last given states as the prediction: nothing changed."""

    def packed(self) -> Mapping[str, Any]:
        """What the codec needs beside plain arguments, as plain data and tensors, by argument.

        A checkpoint keeps it, so that it can be moved alone: where the codec is built again, the
        argument of that name is the path of the checkpoint. Empty for a codec that needs no file.
        """
        return {}

    def features(self) -> Tensor | None:
        """Numbers that similar tokens have in common, [V, K] float32; None if there are none."""
        return None

    def points(self) -> Tensor | None:
        """The point that each token stands for, [V, L] float32; None if tokens are no points.

        Where they are, ``decode_points`` reads what lies between them.
        """
        return None

    def decode_points(self, sequence: TokenSequence, points: Tensor) -> Prediction:
        """As ``decode``, with gradients: from points [N, K, L] of the K predicted tokens."""
        raise NotImplementedError(f"the tokens of {type(self).__name__} are no points")

    def places(self, frames: int) -> Tensor | None:
        """Row, column and frame of each position of a sequence of so many frames, [T, 3] long.

        They count from 1; 0 stands for no place. None if tokens have no such order.
        """
        return None

    @property
    def fitting(self) -> Callable[[Batch], list[bool]] | None:
        """Which transitions of a batch have prompts within the codec's limit; None without one.

        The others are left out of training and of tables, and counted.
        """
        return None

    def too_long(self, batch: Batch) -> dict[str, int]:
        """How many transitions of a batch exceed a limit of the codec.

        By the part that is too long, such as ``prompt``; empty for a codec without limits.
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

    def clip(
        self,
        batch: Batch,
        target: Prediction,
        predictions: Mapping[str, Prediction],
        rows: Sequence[int],
    ) -> NDArray[np.uint8] | None:
        """As ``picture``, but one that moves, [T, H, W, 3]; None if nothing does."""
        return None

    def marks(self, sequence: TokenSequence) -> Tensor:
        """The given tokens that only say where a prediction begins or ends, [B, T] bool: none."""
        return torch.zeros_like(sequence.target_mask)

    @abstractmethod
    def legal_tokens(self) -> Tensor:
        """Which token ids may stand at a predicted position, [V] bool."""


@torch.no_grad()
def check_codec(codec: Codec, batch: Batch) -> None:
    """Hold a codec to its contract on one batch, true next states included.

    Raises:
        ValueError: What it returns does not fit the batch, its vocabulary or its legal tokens; one
            sentence names the codec and what is asked.
    """
    name = type(codec).__name__
    if "key" not in batch:
        raise ValueError("the data module's batch has no `key`: give each sample a name under it")
    if not isinstance(codec.fingerprint, str) or not codec.fingerprint:
        raise ValueError(
            f"{name}.fingerprint must be a text that names the token code; it is "
            f"{codec.fingerprint!r}"
        )
    sequence, count = codec.encode(batch), len(batch["key"])
    check_tokens(codec, sequence, count)
    check_count(f"{name}.decode", codec.decode(sequence), count)


def check_tokens(codec: Codec, sequence: TokenSequence, count: int) -> None:
    """Hold what ``encode`` returned for ``count`` samples to the contract.

    Raises:
        ValueError: Shapes, token ids, the target mask or the legal tokens do not fit.
    """
    ids, mask, legal = sequence.ids, sequence.target_mask, codec.legal_tokens()
    size = codec.vocab_size
    fault = None
    if ids.ndim != 2 or ids.shape != mask.shape or len(ids) != count or mask.dtype != torch.bool:
        fault = (
            f"encode must return ids [{count}, T] and a boolean target_mask of that shape; they "
            f"are {list(ids.shape)} and {list(mask.shape)} {mask.dtype}"
        )
    elif ids.min() < 0 or ids.max() >= size:
        wrong = int(ids.min() if ids.min() < 0 else ids.max())
        fault = f"encode returned the token {wrong}, but vocab_size {size} allows 0 to {size - 1}"
    elif not mask.any(dim=1).all():
        fault = "encode leaves nothing to predict: its target_mask must hold somewhere in each row"
    elif legal.shape != (size,) or legal.dtype != torch.bool:
        fault = (
            f"legal_tokens must return [{size}] bool, one for each token; it returned "
            f"{list(legal.shape)} {legal.dtype}"
        )
    elif len(ruled_out := ids[mask & ~legal.to(ids.device)[ids]]):
        fault = f"legal_tokens rules out the token {int(ruled_out[0])}, which encode has to predict"
    if fault is not None:
        raise ValueError(f"{type(codec).__name__}.{fault}")


def check_count(method: str, states: Prediction, count: int) -> Prediction:
    """States as they came, if there is one for each of ``count`` sequences.

    Raises:
        ValueError: There are more or fewer.
    """
    found = len(states) if isinstance(states, Sized) else type(states).__name__
    if found != count:
        raise ValueError(f"{method} must return {count} states, one for each; it returned {found}")
    return states
