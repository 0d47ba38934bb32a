"""A toy world: a row of dials; an action turns one of them, and sometimes it slips."""

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from rlvr_world.codec import Codec
from rlvr_world.reward import Reward
from rlvr_world.types import Batch, TokenSequence

DIALS, DIGITS = 3, 6


class DialCodec(Codec):
    """States as one digit per dial, the action as two digits between them."""

    vocab_size = DIGITS
    fingerprint = "dials"

    def encode(self, batch: Batch) -> TokenSequence:
        ids = torch.cat([batch["state"], batch["action"], batch["next_state"]], dim=1)
        mask = torch.zeros_like(ids, dtype=torch.bool)
        mask[:, -DIALS:] = True
        return TokenSequence(ids, mask)

    def decode(self, sequence: TokenSequence) -> Tensor:
        return sequence.ids[:, -DIALS:]

    def target(self, batch: Batch) -> Tensor:
        return batch["next_state"]

    def copy_last(self, batch: Batch) -> Tensor:
        return batch["state"]

    def legal_tokens(self) -> Tensor:
        return torch.ones(DIGITS, dtype=torch.bool)


class DialsRight(Reward):
    """The share of dials that stand where they should."""

    def score(self, prediction: Tensor, target: Tensor, given: Batch) -> Tensor:
        return (prediction == target).float().mean(dim=1)


class Transitions(Dataset):
    """Random transitions; the turned dial slips by one with probability ``slip``."""

    def __init__(self, size: int, seed: int, slip: float) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.state = torch.randint(DIGITS, (size, DIALS), generator=generator)
        which = torch.randint(DIALS, (size, 1), generator=generator)
        amount = torch.randint(1, DIGITS, (size, 1), generator=generator)
        slipped = torch.rand(size, 1, generator=generator) < slip
        turned = (self.state.gather(1, which) + amount + slipped) % DIGITS
        self.next_state = self.state.scatter(1, which, turned)
        self.action = torch.cat([which, amount], dim=1)

    def __len__(self) -> int:
        return len(self.state)

    def __getitem__(self, index: int) -> Batch:
        return {
            "state": self.state[index],
            "action": self.action[index],
            "next_state": self.next_state[index],
            "key": str(index),
        }


class SetTransitions(Transitions):
    """An action sets a dial instead of turning it, so that all that changes is what it says."""

    def __init__(self, size: int, seed: int) -> None:
        super().__init__(size, seed, slip=0.0)
        self.next_state = set_dials(self.state, self.action)


def set_dials(state: Tensor, action: Tensor) -> Tensor:
    return state.scatter(1, action[:, :1], action[:, 1:])


class DialData(LightningDataModule):
    """Noisy transitions to train on; validation ones, unseen, do not slip."""

    fingerprint = "dials"

    def __init__(self, batch_size: int = 64, size: int = 2048) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.size = size

    def train_dataloader(self) -> DataLoader:
        return DataLoader(Transitions(self.size, 0, slip=0.4), self.batch_size, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(Transitions(256, 1, slip=0.0), 256)
