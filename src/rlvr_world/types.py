"""The values that pass between codecs, samplers, losses and modules.

Letters in shape comments: B batch, G group, T tokens (or time, where frames are meant), N tokens
of one frame, F predicted frames, C channels, H height, W width, V vocabulary, A action dims.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from torch import Tensor

Batch = dict[str, Any]
"""A collated batch. Video: ``frames`` uint8 [B, T, C, H, W] or ``tokens`` long [B, T, N],
``actions`` float32 [B, T, A], optional ``steps``, a list of B numbers of actions in a row, optional
``states`` float32 [B, T, S], ``key`` list of B names; for codecs with a context frame ``context``
uint8 [B, C, H, W] or ``context_tokens`` long [B, N]."""

Prediction = Any
"""What a codec decodes: float frames [B, F, C, H, W] in [0, 1], or a list of B states."""


class Detail(NamedTuple):
    """How finely predictions are scored.

    ``by`` says what has a score of its own: a prediction, a frame of it, or a patch of a frame, of
    which there are ``grid[0]`` over its height and ``grid[1]`` over its width.
    """

    by: Literal["prediction", "frame", "patch"] = "prediction"
    grid: tuple[int, int] = (1, 1)


WHOLE = Detail()
"""One score for each prediction."""


class TokenSequence(NamedTuple):
    """One transition as tokens, of which some are given and some are to be predicted.

    Prompts of different length are padded on the left, so that what is predicted begins at the
    same position in every row. Positions after the last predicted one of a row are ignored.
    """

    ids: Tensor  # [B, T] long
    target_mask: Tensor  # [B, T] bool, True where the model must predict
    padding: Tensor | None = None  # [B] long, leading positions that hold nothing; None: no such

    def blank(self) -> "TokenSequence":
        """The same positions with 0 at the predicted ones."""
        return self._replace(ids=self.ids.masked_fill(self.target_mask, 0))

    def repeat(self, group_size: int) -> "TokenSequence":
        """Repeat each row, so that the members of a group are neighbours: [B * G, T]."""
        return self._map(lambda field: field.repeat_interleave(group_size, dim=0))

    def select(self, rows: Tensor | slice) -> "TokenSequence":
        """The sequences at the given row indices."""
        return self._map(lambda field: field[rows])

    @property
    def prompt_length(self) -> int:
        """The number of leading positions that are given in every row."""
        return int(self.target_mask.any(dim=0).int().argmax())

    @property
    def target_end(self) -> int:
        """The position behind the last predicted one of any row; at least ``prompt_length``."""
        return self.target_mask.shape[1] - int(self.target_mask.any(dim=0).flip(0).int().argmax())

    def _map(self, function: Callable[[Tensor], Tensor]) -> "TokenSequence":
        padding = None if self.padding is None else function(self.padding)
        return TokenSequence(function(self.ids), function(self.target_mask), padding)


class Rollout(NamedTuple):
    """A group of G sampled predictions for each of B prompts, scored.

    Members of a group are neighbours, so row n belongs to prompt n // G.
    """

    sequence: TokenSequence  # [B * G, T]
    log_probs: Tensor  # [B * G, T] under the policy that sampled; 0 at given positions
    reference_log_probs: Tensor  # [B * G, T] under the frozen reference
    importance: Tensor  # [B * G, T], factor of each token's loss
    trained: Tensor  # [B * G, T] bool, the predicted tokens that the loss counts
    scores: dict[str, Tensor]  # [B * G, ...] of each reward by its name
    rewards: Tensor  # [B * G]
    advantages: Tensor  # [B * G, 1], or [B * G, T] where each token has its own
    parabolas: Tensor | None = None  # [B * G, K, 2 * L], what points are worth at K places

    def select(self, rows: Tensor | slice) -> "Rollout":
        """The predictions at the given row indices."""
        tensors = {n: f[rows] for n, f in self._asdict().items() if isinstance(f, Tensor)}
        scores = {name: values[rows] for name, values in self.scores.items()}
        return self._replace(sequence=self.sequence.select(rows), scores=scores, **tensors)
