"""Sampling that draws again what repeats itself."""

from typing import Any, Literal

import torch
from torch import Tensor

from rlvr_world.nn.sequence_model import SequenceModel
from rlvr_world.rl.sampler import Sampler, predicted_runs
from rlvr_world.types import TokenSequence


class RejectionSampler(Sampler):
    """Draws a prediction again while it repeats a frame (the paper's repetition rejection).

    A frame is repeated where two stretches of predicted tokens that follow one another, with given
    actions between them, are identical. For evaluation only: what is kept does not follow the
    model's distribution.

    Args:
        pairs: Which frames must differ: ``all`` neighbours, or the ``last`` two, which is the
            criterion of the released code.
        retries: How often a prediction is drawn again at most; then it is kept as it is.
        **settings: See ``Sampler``.
    """

    def __init__(
        self,
        pairs: Literal["all", "last"] = "last",
        retries: int = 10,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if retries < 0:
            raise ValueError(f"retries must be at least 0, got {retries}")
        self.pairs = pairs
        self.retries = retries

    @property
    def is_exact(self) -> bool:
        return False

    @torch.no_grad()
    def __call__(
        self,
        model: SequenceModel,
        template: TokenSequence,
        legal_tokens: Tensor,
        group_size: int = 1,
        generator: torch.Generator | None = None,
        end_token: int | None = None,
    ) -> tuple[TokenSequence, Tensor]:
        options = (legal_tokens, group_size, generator, end_token)
        sequence, log_probs = super().__call__(model, template, *options)
        for _ in range(self.retries):
            rejected = repeats(sequence, self.pairs).nonzero().flatten()
            if not len(rejected):
                break
            again = template.select(rejected // group_size)
            drawn = super().__call__(model, again, legal_tokens, 1, generator, end_token)
            sequence.ids[rejected], log_probs[rejected] = drawn[0].ids, drawn[1]
        return sequence, log_probs


def repeats(sequence: TokenSequence, pairs: Literal["all", "last"] = "all") -> Tensor:
    """Which rows hold neighbouring predicted frames of the same tokens, [N] bool."""
    runs = predicted_runs(sequence)
    if len(runs) < 2 or len({stop - start for start, stop in runs}) > 1:
        raise ValueError(
            "repetition is a matter of two or more predicted frames of as many tokens each; this "
            f"template has {len(runs)} stretches of predicted tokens"
        )
    frames = torch.stack([sequence.ids[:, start:stop] for start, stop in runs], dim=1)
    same = (frames[:, 1:] == frames[:, :-1]).all(dim=2)  # [N, F - 1]
    return same[:, -1] if pairs == "last" else same.any(dim=1)
