"""A toy world: a position moves by the action and by a slip, whose distribution is known."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from rlvr_world.codec import Codec
from rlvr_world.reward import Reward
from rlvr_world.types import Batch, TokenSequence

PLACES, STARTS, ACTIONS = 64, 24, 8


@dataclass(frozen=True)
class Slips:
    """The probability of each slip, from ``first`` on."""

    first: int
    probability: Tensor

    def __len__(self) -> int:
        return len(self.probability)

    def ends(self, batch: Batch) -> Tensor:
        """The probability of each place after a move, [B, PLACES]."""
        start = batch["position"] + batch["action"] + self.first
        shifts = torch.arange(len(self))
        return torch.zeros(len(start), PLACES).scatter_(
            1, start[:, None] + shifts, self.probability.expand(len(start), -1)
        )


SKEWED = Slips(0, torch.tensor([0.4, *[0.0] * 7, *[0.6 / 9] * 9]))
"""None, mostly, else 8 to 16: the most frequent slip is far from the mean, 7.2."""

SYMMETRIC = Slips(0, torch.tensor([*range(1, 10), *range(8, 0, -1)]) / 81)
"""0 to 16, the more frequent the nearer to 8, which is the mean, too."""


class PlaceCodec(Codec):
    """A place, an action, and the next place to be predicted: a token each."""

    vocab_size = PLACES
    fingerprint = "places"

    def encode(self, batch: Batch) -> TokenSequence:
        ids = torch.stack([batch["position"], batch["action"], batch["next_position"]], dim=1)
        return TokenSequence(ids, torch.arange(3).expand_as(ids) == 2)

    def decode(self, sequence: TokenSequence) -> Tensor:
        return sequence.ids[:, 2]

    def target(self, batch: Batch) -> Tensor:
        return batch["next_position"]

    def copy_last(self, batch: Batch) -> Tensor:
        return batch["position"]

    def legal_tokens(self) -> Tensor:
        return torch.ones(PLACES, dtype=torch.bool)


class SquaredError(Reward):
    """The squared distance between the predicted place and the true one."""

    higher_is_better = False

    def score(self, prediction: Tensor, target: Tensor, given: Batch) -> Tensor:
        return (prediction - target).float().square()


class Likelihood(Reward):
    """The logarithm of the probability that a model gave to a prediction, [STARTS, ACTIONS, V]."""

    def __init__(self, table: Tensor, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.table = table

    def score(self, prediction: Tensor, target: Tensor, given: Batch) -> Tensor:
        return self.table[given["position"], given["action"], prediction]


def all_moves() -> Batch:
    """Each start with each action, without a next position."""
    starts, actions = torch.arange(STARTS), torch.arange(ACTIONS)
    position, action = torch.cartesian_prod(starts, actions).T
    keys = list(map(str, range(len(position))))
    return {"position": position, "action": action, "next_position": position, "key": keys}


def moves(slips: Slips, batches: int, size: int, seed: int) -> DataLoader:
    """Random moves in batches."""
    source = torch.Generator().manual_seed(seed)
    shape = (batches, size)
    position = torch.randint(STARTS, shape, generator=source)
    action = torch.randint(ACTIONS, shape, generator=source)
    drawn = torch.multinomial(slips.probability, batches * size, True, generator=source)
    after = position + action + slips.first + drawn.view(shape)
    keys = list(map(str, range(size)))
    fields = zip(position, action, after, strict=True)
    names = ("position", "action", "next_position")
    ready = [dict(zip(names, each, strict=True)) | {"key": keys} for each in fields]
    return DataLoader(ready, batch_size=None)
