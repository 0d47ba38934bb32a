"""The values that pass between codecs, samplers, losses and modules.

Letters in shape comments: B batch, G group, T tokens (or time, where frames are meant), N tokens
of one frame, F predicted frames, C channels, H height, W width, V vocabulary, A action dims.
"""

from typing import Any, NamedTuple

from torch import Tensor

Batch = dict[str, Any]
"""A collated batch. Video: ``frames`` uint8 [B, T, C, H, W] or ``tokens`` long [B, T, N],
``actions`` float32 [B, T, A], optional ``states`` float32 [B, T, S], ``key`` list of B names."""

Prediction = Any
"""What a codec decodes: float frames [B, F, C, H, W] in [0, 1], or a list of B states."""


class TokenSequence(NamedTuple):
    """One transition as tokens, of which some are given and some are to be predicted."""

    ids: Tensor  # [B, T] long
    target_mask: Tensor  # [B, T] bool, True where the model must predict

    def repeat(self, group_size: int) -> "TokenSequence":
        """Repeat each row, so that the members of a group are neighbours: [B * G, T]."""
        return TokenSequence(*(field.repeat_interleave(group_size, dim=0) for field in self))

    def select(self, rows: Tensor) -> "TokenSequence":
        """The sequences at the given row indices."""
        return TokenSequence(*(field[rows] for field in self))

    @property
    def prompt_length(self) -> int:
        """The number of leading positions that are given in every row."""
        return int(self.target_mask.any(dim=0).int().argmax())


class Rollout(NamedTuple):
    """A group of G sampled predictions for each of B prompts, scored."""

    sequence: TokenSequence  # [B * G, T]
    log_probs: Tensor  # [B * G, T] under the policy that sampled; 0 at given positions
    reference_log_probs: Tensor  # [B * G, T] under the frozen reference
    rewards: Tensor  # [B, G]
    advantages: Tensor  # [B, G]

    @property
    def group_size(self) -> int:
        """G, the number of predictions for one prompt."""
        return self.rewards.shape[1]

    def select(self, prompts: Tensor) -> "Rollout":
        """The whole groups of the given prompt indices."""
        group = self.group_size
        members = prompts[:, None] * group + prompts.new_tensor(range(group))
        rows = members.flatten()
        return Rollout(
            self.sequence.select(rows),
            self.log_probs[rows],
            self.reference_log_probs[rows],
            self.rewards[prompts],
            self.advantages[prompts],
        )
