"""A module and data for tests of the command line: a line is fitted to four numbers."""

import torch
from lightning import LightningDataModule, LightningModule
from torch import nn
from torch.utils.data import DataLoader


class Line(LightningModule):
    """Logs ``val/loss``; with ``manual`` it steps two optimizers and clips for itself."""

    monitor = "val/loss"

    def __init__(self, weights: str | None = None, manual: bool = False, log_loss: bool = True):
        super().__init__()
        self.lines = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)])
        self.automatic_optimization = not manual
        self.weights, self.log_loss = weights, log_loss

    def loss(self, index, batch):
        return (self.lines[index](batch["x"]) - 100).square().mean()

    def training_step(self, batch, batch_idx):
        if self.automatic_optimization:
            return self.loss(0, batch)
        for index, optimizer in enumerate(self.optimizers()):
            with self.toggled_optimizer(optimizer):
                optimizer.zero_grad()
                self.manual_backward(self.loss(index, batch))
                self.clip_gradients(optimizer, 0.5, "norm")
                optimizer.step()
        return None

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.loss(0, batch), batch_size=1)

    test_step = validation_step

    def configure_optimizers(self):
        if self.automatic_optimization:
            return torch.optim.SGD(self.lines[0].parameters(), lr=0.1)
        return [torch.optim.SGD(line.parameters(), lr=0.1) for line in self.lines]


class Numbers(LightningDataModule):
    def train_dataloader(self):
        return DataLoader([{"x": torch.tensor([float(i)]), "key": str(i)} for i in range(4)])

    val_dataloader = test_dataloader = train_dataloader


class Unvalidated(Numbers):
    val_dataloader = LightningDataModule.val_dataloader
