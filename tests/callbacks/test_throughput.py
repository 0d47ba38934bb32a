import pytest
import torch
from lightning import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader

from rlvr_world.callbacks import throughput
from rlvr_world.types import TokenSequence


class Clock:
    """A clock that only the model moves."""

    now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(throughput, "time", clock)
    return clock


class Codec(nn.Module):
    def encode(self, batch):
        return TokenSequence(torch.zeros(len(batch["key"]), 7), torch.zeros(1))


class Model(LightningModule):
    """Trains for 0.25 s a batch and validates for 2 s."""

    def __init__(self, clock, world_model=True):
        super().__init__()
        self.clock = clock
        if world_model:
            self.codec = Codec()

    def training_step(self, batch, batch_idx):
        self.clock.now += 0.25

    def validation_step(self, batch, batch_idx):
        self.clock.now += 2

    def configure_optimizers(self):
        return None


def metrics_of(module, **options):
    loader = DataLoader([{"key": "a"}] * 18, batch_size=3)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        callbacks=[throughput.Throughput()],
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


def test_rates_leave_validation_out(clock):
    metrics = metrics_of(Model(clock))
    assert metrics["time/batches_per_second"] == pytest.approx(4)
    assert metrics["time/samples_per_second"] == pytest.approx(3 * 4)
    assert metrics["time/tokens_per_second"] == pytest.approx(3 * 7 * 4)


def test_tokens_are_counted_for_world_models_only(clock):
    assert "time/tokens_per_second" not in metrics_of(Model(clock, world_model=False))
