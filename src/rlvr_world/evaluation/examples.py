"""The transitions of a data module that are scored, without a Trainer."""

from collections.abc import Iterator
from typing import Literal

import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader

from rlvr_world.types import Batch

Split = Literal["test", "val"]


class Examples:
    """The batches of a data module's evaluation splits, on a device."""

    def __init__(self, data: LightningDataModule, device: torch.device) -> None:
        data.prepare_data()
        self.data, self.device = data, device

    def loader(self, split: Split) -> DataLoader:
        self.data.setup("test" if split == "test" else "validate")
        return self.data.test_dataloader() if split == "test" else self.data.val_dataloader()

    def batches(self, split: Split, limit: int | None = None) -> Iterator[Batch]:
        """The batches of a split, of all its transitions or of the first ``limit``."""
        count = 0
        for batch in self.loader(split):
            if limit is not None:
                batch = {name: values[: limit - count] for name, values in batch.items()}
            count += len(batch["key"])
            yield self.data.transfer_batch_to_device(batch, self.device, 0)
            if count == limit:
                return
        if not count:
            raise ValueError(
                f"data: the {split} split is empty; make its shards, or shorten its sequences"
            )

    def count(self, split: Split) -> int | None:
        """The number of batches; None if the loader does not know its length."""
        try:
            return len(self.loader(split))
        except TypeError:
            return None
