import time

import pytest
import torch
from lightning import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader

from rlvr_world.callbacks.throughput import Throughput
from rlvr_world.types import TokenSequence


class Codec(nn.Module):
    def encode(self, batch):
        return TokenSequence(torch.zeros(len(batch["key"]), 7), torch.zeros(1))


class Sleeper(LightningModule):
    """Trains for 20 ms a batch and validates for 200 ms."""

    def __init__(self, world_model=True):
        super().__init__()
        if world_model:
            self.codec = Codec()

    def training_step(self, batch, batch_idx):
        time.sleep(0.02)

    def validation_step(self, batch, batch_idx):
        time.sleep(0.2)

    def configure_optimizers(self):
        return None


def metrics_of(module, **options):
    loader = DataLoader([{"key": "a"}] * 18, batch_size=3)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        callbacks=[Throughput()],
        log_every_n_steps=3,
        val_check_interval=2,
        num_sanity_val_steps=1,
        limit_val_batches=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        **options,
    )
    trainer.fit(module, loader, loader)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def test_rates_leave_validation_out():
    metrics = metrics_of(Sleeper())
    assert 10 < metrics["time/batches_per_second"] <= 50  # 4 at most with validation in it
    rate = metrics["time/batches_per_second"]
    assert metrics["time/samples_per_second"] == pytest.approx(3 * rate)
    assert metrics["time/tokens_per_second"] == pytest.approx(3 * 7 * rate)


def test_tokens_are_counted_for_world_models_only():
    assert "time/tokens_per_second" not in metrics_of(Sleeper(world_model=False))
