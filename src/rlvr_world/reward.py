"""What a reward is: a torchmetrics ``Metric`` with one score for each prediction."""

from abc import ABC, abstractmethod
from collections.abc import ItemsView, Mapping, Sized, ValuesView
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from rlvr_world.jobs import time_limit
from rlvr_world.types import WHOLE, Batch, Detail, Prediction


class Reward(Metric, ABC):
    """A metric of predictions against the truth, usable as a reward and as an evaluation.

    A subclass writes ``score`` and, where smaller is better, ``higher_is_better = False``. It
    overrides ``scores``, too, if it can share work among predictions of one target or can score
    frames and patches. The base class keeps the running mean over samples, reduced over ranks, and
    carries the weight.

    Args:
        weight: Factor of this metric in the total reward of a ``RewardSet``.
    """

    higher_is_better = True
    full_state_update = False
    needs_whole_groups = False
    """Whether ``scores`` compares the members of a group, so that it must be given them at once."""

    seconds = 600.0
    """How long it may take for the predictions that it is given at once."""

    total: Tensor
    count: Tensor

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        if not weight >= 0:
            raise ValueError(
                f"{type(self).__name__}: weight must be at least 0, got {weight}; the sign of the "
                "reward follows from higher_is_better"
            )
        self.weight = weight
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0, dtype=torch.long), dist_reduce_fx="sum")

    @property
    def label(self) -> str:
        """The name that stands beside the number in a table."""
        return type(self).__name__

    @abstractmethod
    def score(self, prediction: Prediction, target: Prediction, given: Batch) -> Tensor:
        """The metric of each sample, [N] float, in its own natural sign and unit.

        Args:
            prediction: N predictions, as the codec decodes them.
            target: The true next state of each.
            given: The batch that they were made from, with N entries each: the given frames, the
                actions, whatever the data module yields.
        """

    def scores(
        self, prediction: Prediction, target: Prediction, given: Batch, detail: Detail = WHOLE
    ) -> Tensor:
        """The metric of B * G predictions of B transitions.

        Transition b belongs to the predictions b * G to b * G + G - 1. This implementation repeats
        it G times and calls ``score``.

        Args:
            prediction: B * G predictions.
            target: B true next states.
            given: The batch of B transitions.
            detail: What is scored: predictions, their frames, or patches of their frames.

        Returns:
            [B * G], for frames [B * G, F], for patches [B * G, F, h, w].

        Raises:
            ValueError: The metric does not score in such detail.
        """
        if detail.by != "prediction":
            raise ValueError(
                f"{self.label} scores whole predictions, not each {detail.by}: leave out credit of "
                "the model, or this reward"
            )
        group = group_size(prediction, target)
        return self.score(prediction, repeat(target, group), repeat(given, group))

    def mutual(self, prediction: Prediction, truths: Prediction, given: Batch) -> Tensor:
        """The metric of N predictions of each of B transitions against one another, [B, N, N].

        Entry [b, i, j] is the score of prediction i if j were the truth. This implementation calls
        ``scores`` N times; it is overridden where work can be shared.

        Args:
            prediction: B * N predictions.
            truths: The same as true next states, see ``Codec.as_target``.
            given: The batch of B transitions.
        """
        size = group_size(prediction, given["key"])
        columns = [self.scores(prediction, truths[j::size], given) for j in range(size)]
        return torch.stack(columns, dim=1).unflatten(0, (-1, size))

    def update(self, scores: Tensor) -> None:
        """Add scores of samples [N] to the running mean."""
        self.total += scores.detach().float().sum()
        self.count += scores.numel()

    def compute(self) -> Tensor:
        """The mean over all samples of all ranks since the last reset."""
        return self.total / self.count


class RewardSet(nn.ModuleDict):
    """The weighted sum of named rewards; a metric where smaller is better counts negatively.

    Args:
        rewards: Rewards by the name under which each is logged; there may be none.
    """

    def __init__(self, rewards: Mapping[str, Reward] | None = None) -> None:
        super().__init__(dict(rewards or {}))

    if TYPE_CHECKING:  # ModuleDict says Module

        def __getitem__(self, name: str) -> Reward: ...

        def items(self) -> ItemsView[str, Reward]: ...

        def values(self) -> ValuesView[Reward]: ...

    def scores(
        self,
        prediction: Prediction,
        target: Prediction,
        given: Batch,
        detail: Detail = WHOLE,
        finite: bool = True,
    ) -> dict[str, Tensor]:
        """Each reward's own scores of B * G predictions by name, see ``Reward.scores``.

        An error of a reward is passed on with a note that names the reward and the samples.

        Args:
            prediction: B * G predictions.
            target: B true next states.
            given: The batch of B transitions.
            detail: What is scored.
            finite: Whether NaN and infinite numbers are an error too.

        Raises:
            ValueError: A reward returns something else than one number for each.
            TimeoutError: A reward takes longer than its ``seconds``.
        """
        scores = {}
        for name, reward in self.items():
            what = f"rewards.{name}: {type(reward).__name__}.score"
            try:
                with time_limit(reward.seconds, what):
                    found = scored(reward, prediction, target, given, detail)
            except Exception as error:
                keys = ", ".join(map(str, islice(given.get("key", ["a batch without keys"]), 8)))
                error.add_note(f"{what} failed for samples among {keys}")
                raise
            scores[name] = checked(what, found, len(prediction), detail)
        fault = not_finite(scores, given) if finite else None
        if fault is not None:
            raise ValueError(f"{fault}; a reward must return finite numbers")
        return scores

    def mutual(self, prediction: Prediction, truths: Prediction, given: Batch) -> Tensor:
        """The weighted sum of all rewards, [B, N, N], see ``Reward.mutual``.

        Raises:
            ValueError: A reward returns a number that is not finite.
            TimeoutError: A reward takes longer than its ``seconds`` for each of the N truths.
        """
        size, scores = group_size(prediction, given["key"]), {}
        for name, reward in self.items():
            with time_limit(reward.seconds * size, f"rewards.{name}: {type(reward).__name__}"):
                scores[name] = reward.mutual(prediction, truths, given)
        fault = not_finite(scores, given)
        if fault is not None:
            raise ValueError(f"{fault}; a reward must return finite numbers")
        return self.total(scores)

    @property
    def weight(self) -> float:
        """The sum of all weights; 0 without rewards, or where they are only watched."""
        return sum(reward.weight for reward in self.values())

    def total(self, scores: Mapping[str, Tensor]) -> Tensor:
        """The reward to maximise, shaped as the scores are."""
        signs = {name: 1.0 if r.higher_is_better else -1.0 for name, r in self.items()}
        return torch.stack([signs[n] * self[n].weight * scores[n] for n in self]).sum(dim=0)


def scored(
    reward: Reward, prediction: Prediction, target: Prediction, given: Batch, detail: Detail
) -> Tensor:
    """The scores of a reward, with their gradient if it counts and has one."""
    plain = prediction.detach() if isinstance(prediction, Tensor) else prediction
    if not reward.weight:
        return reward.scores(plain, target, given, detail)
    try:
        return reward.scores(prediction, target, given, detail)
    except RuntimeError as error:
        if "requires grad" not in str(error):  # as PyTorch says of `.numpy()`
            raise
        return reward.scores(plain, target, given, detail)


def group_size(prediction: Sized, target: Sized) -> int:
    """G, the number of predictions that share one target."""
    if not len(target) or len(prediction) % len(target):
        raise ValueError(
            f"{len(prediction)} predictions for {len(target)} targets: the number of predictions "
            "must be a multiple of the number of targets"
        )
    return len(prediction) // len(target)


def repeat(values: Any, group: int) -> Any:
    """Each of B entries ``group`` times, of a tensor, a list, or every field of a batch."""
    if group == 1:
        return values
    if isinstance(values, Mapping):
        return {name: repeat(field, group) for name, field in values.items()}
    if isinstance(values, Tensor):
        return values.repeat_interleave(group, dim=0)
    if isinstance(values, list | tuple):
        return [value for value in values for _ in range(group)]
    return values


def checked(what: str, scores: Any, count: int, detail: Detail = WHOLE) -> Tensor:
    """Scores as they came, if they are what the contract of ``Reward.scores`` asks for.

    Args:
        what: The method that returned them, for the error message.
        scores: What it returned.
        count: The number of predictions.
        detail: What was scored.

    Raises:
        ValueError: They are not one floating-point number for each prediction.
    """
    wanted = f"one float for each of the {count} predictions, a tensor of shape [{count}]"
    if detail.by != "prediction":
        wanted = f"one float for each {detail.by} of the {count} predictions"
    if not isinstance(scores, Tensor):
        raise ValueError(f"{what} must return {wanted}; it returned {type(scores).__name__}")
    dimensions = {"prediction": 1, "frame": 2, "patch": 4}[detail.by]
    if scores.ndim != dimensions or len(scores) != count:
        raise ValueError(f"{what} must return {wanted}; its shape is {list(scores.shape)}")
    if not scores.is_floating_point():
        raise ValueError(f"{what} must return {wanted}; it holds {scores.dtype}: use .float()")
    return scores


def not_finite(scores: Mapping[str, Tensor], given: Batch) -> str | None:
    """The first score that is NaN or infinite, by the names of its reward and its sample.

    Args:
        scores: Those of B * G predictions, by the reward's name.
        given: The batch of B transitions.
    """
    for name, values in scores.items():
        finite = values.detach().isfinite().reshape(len(values), -1).all(dim=1)
        if not finite.all():
            row = int((~finite).int().argmax())
            keys = given.get("key", range(len(values)))
            flat = values[row].flatten()
            value = flat[~flat.isfinite()][0].item()
            return f"rewards.{name} is {value} for {keys[row * len(keys) // len(values)]}"
    return None
