"""Rewards of sampled predictions: decoded and scored, a part of the batch after another."""

from collections.abc import Iterable

import torch
from torch import Tensor

from rlvr_world.codec import Codec, check_count
from rlvr_world.modules.rollout_logger import RolloutObserver
from rlvr_world.reward import RewardSet
from rlvr_world.rl.budget import Part
from rlvr_world.types import Batch, Detail, TokenSequence


def score_predictions(
    codec: Codec,
    rewards: RewardSet,
    sequence: TokenSequence,
    batch: Batch,
    parts: Iterable[Part],
    detail: Detail,
    observer: RolloutObserver = RolloutObserver(),  # noqa: B008
) -> dict[str, Tensor]:
    """Each reward's own scores of sampled sequences, by the reward's name.

    Args:
        codec: Decodes the sequences and knows the truth.
        rewards: What scores them.
        sequence: Filled sequences [B * G, T], members of a group being neighbours.
        batch: The batch of the B transitions.
        parts: The rows that are decoded and scored at once.
        detail: What has a score of its own.
        observer: Measures ``decode`` and ``reward``.

    Returns:
        [B * G], for frames [B * G, F], for patches [B * G, F, h, w].
    """
    target, count = codec.target(batch), len(batch["key"])
    group, decode = len(sequence.ids) // count, f"{type(codec).__name__}.decode"
    scores: dict[str, list[Tensor]] = {name: [] for name in rewards}
    for part in parts:
        with observer.timed("decode"):
            chosen = sequence.select(part.rows)
            prediction = check_count(decode, codec.decode(chosen), len(chosen.ids))
        with observer.timed("reward"):
            prompts = part.prompts(group)
            check_whole(rewards, part.group_size == group)
            given = {name: rows_of(field, prompts, count) for name, field in batch.items()}
            found = rewards.scores(prediction, target[prompts], given, detail, finite=False)
            for name, score in found.items():
                scores[name].append(score)
    return {name: torch.cat(pieces) for name, pieces in scores.items()}


def check_whole(rewards: RewardSet, is_whole: bool) -> None:
    """Raise ``ValueError`` if a reward needs whole groups and is given parts of them."""
    for name, reward in rewards.items():
        if reward.needs_whole_groups and not is_whole:
            raise ValueError(
                f"rewards.{name}: compares the members of a group; raise token_budget to hold one"
            )


def rows_of(field: object, rows: slice, count: int) -> object:
    """Some rows of a batch's field; the field itself if it does not have one entry for each."""
    if isinstance(field, Tensor | list | tuple) and len(field) == count:
        return field[rows]
    return field
