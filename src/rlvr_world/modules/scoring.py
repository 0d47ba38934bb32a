"""Rewards of sampled predictions: decoded and scored, a part of the batch after another."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from rlvr_world.codec import Codec, check_count
from rlvr_world.modules.rollout_logger import RolloutObserver
from rlvr_world.reward import RewardSet
from rlvr_world.rl.budget import Part
from rlvr_world.rl.credit import Credit
from rlvr_world.rl.gradient import slopes_of
from rlvr_world.types import Batch, Detail, TokenSequence


def score_predictions(
    codec: Codec,
    rewards: RewardSet,
    sequence: TokenSequence,
    batch: Batch,
    parts: Iterable[Part],
    detail: Detail,
    observer: RolloutObserver = RolloutObserver(),  # noqa: B008
    credit: Credit = Credit(),  # noqa: B008
) -> tuple[dict[str, Tensor], Tensor | None]:
    """Each reward's own scores of sampled sequences, by the reward's name, and their slopes.

    Args:
        codec: Decodes the sequences and knows the truth.
        rewards: What scores them.
        sequence: Filled sequences [B * G, T], members of a group being neighbours.
        batch: The batch of the B transitions.
        parts: The rows that are decoded and scored at once.
        detail: What has a score of its own.
        observer: Measures ``decode`` and ``reward``.
        credit: Asks for the slopes, or not.

    Returns:
        Scores [B * G], for frames [B * G, F], for patches [B * G, F, h, w]; and how what they are
        worth changes with the points of the K predicted tokens, [B * G, K, L].
    """
    target, count = codec.target(batch), len(batch["key"])
    group, decode = len(sequence.ids) // count, f"{type(codec).__name__}.decode"
    scores: dict[str, list[Tensor]] = {name: [] for name in rewards}
    slopes, gradients = [], credit.gradient > 0
    for part in parts:
        with observer.timed("decode"), torch.set_grad_enabled(gradients):
            chosen = sequence.select(part.rows)
            points = drawn_points(codec, chosen).requires_grad_() if gradients else None
            states = codec.decode(chosen) if points is None else codec.decode_points(chosen, points)
            prediction = check_count(decode, states, len(chosen.ids))
        with observer.timed("reward"), torch.set_grad_enabled(gradients):
            prompts = part.prompts(group)
            check_whole(rewards, part.group_size == group)
            given = {name: rows_of(field, prompts, count) for name, field in batch.items()}
            found = rewards.scores(prediction, target[prompts], given, detail, finite=False)
            if points is not None:
                check_gradients(rewards, found, alone=credit.samples == 0)
                slopes.append(slopes_of(credit.own_worth(rewards.total(found)), points))
            for name, score in found.items():
                scores[name].append(score.detach())
    found = {name: torch.cat(pieces) for name, pieces in scores.items()}
    return found, torch.cat(slopes) if slopes else None


def drawn_points(codec: Codec, sequence: TokenSequence) -> Tensor:
    """The points [N, K, L] of the K predicted tokens of each sequence."""
    ids = sequence.ids[sequence.target_mask].unflatten(0, (len(sequence.ids), -1))
    return known_points(codec, ids.device)[ids]


def known_points(codec: Codec, device: torch.device) -> Tensor:
    """The points of all tokens, [V, L]; raises ``ValueError`` if the codec knows none."""
    points = codec.points()
    if points is None:
        raise ValueError(
            f"credit.gradient: the tokens of {type(codec).__name__} are no points of pictures; "
            "leave it out"
        )
    return points.to(device)


def check_gradients(rewards: RewardSet, scores: Mapping[str, Tensor], alone: bool) -> None:
    """Raise ``ValueError`` where rewards that count give no gradient.

    Not for some of them, if there is another way than the gradient ``alone`` to learn from these.
    """
    counted = [name for name, reward in rewards.items() if reward.weight]
    without = [name for name in counted if not scores[name].requires_grad]
    if without and (alone or len(without) == len(counted)):
        name = type(rewards[without[0]]).__name__
        raise ValueError(
            f"credit.gradient: rewards.{without[0]} ({name}) is not differentiable; give it the "
            "weight 0, give samples a weight, or leave out gradient"
        )


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
