"""The clips of a data module, without a Trainer."""

from collections.abc import Iterator
from typing import Literal

import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader

from rlvr_world.types import Batch

Split = Literal["test", "val"]


class Clips:
    """The batches of a data module's evaluation splits, on a device.

    Args:
        data: The data module.
        device: Where the batches go.
    """

    def __init__(self, data: LightningDataModule, device: torch.device) -> None:
        data.prepare_data()
        self.data, self.device = data, device

    def loader(self, split: Split) -> DataLoader:
        """The data loader of a split."""
        self.data.setup("test" if split == "test" else "validate")
        return self.data.test_dataloader() if split == "test" else self.data.val_dataloader()

    def batches(self, split: Split) -> Iterator[Batch]:
        """All batches of a split.

        Raises:
            ValueError: The split has no clips.
        """
        empty = True
        for batch in self.loader(split):
            empty = False
            yield self.data.transfer_batch_to_device(batch, self.device, 0)
        if empty:
            raise ValueError(
                f"data: the {split} split has no clips; make its shards, or shorten the clips"
            )

    def first(self, split: Split, clips: int) -> list[Batch]:
        """The first ``clips`` clips of a split, in batches."""
        taken = []
        for batch in self.batches(split):
            taken.append({name: values[:clips] for name, values in batch.items()})
            clips -= len(batch["key"])
            if clips <= 0:
                break
        return taken

    def count(self, split: Split) -> int | None:
        """The number of batches; None if the loader does not know its length."""
        try:
            return len(self.loader(split))
        except TypeError:
            return None
