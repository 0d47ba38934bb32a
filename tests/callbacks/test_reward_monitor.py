import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from rlvr_world.callbacks.reward_monitor import RewardMonitor
from rlvr_world.video.rewards.frames import MAE, PSNR


class Gray(LightningModule):
    """Predicts gray levels 0, 0.1, 0.2 ... for black targets."""

    def validation_step(self, batch, batch_idx):
        prediction = batch[:, None, None, None, None].expand(-1, 1, 3, 4, 4)
        return {"prediction": prediction, "target": torch.zeros_like(prediction)}

    test_step = validation_step

    def training_step(self, batch, batch_idx):
        return None

    def configure_optimizers(self):
        return None


def levels(*values):
    return DataLoader(torch.tensor(values), batch_size=2)


def trainer(*callbacks, **options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return Trainer(accelerator="cpu", callbacks=list(callbacks), **(quiet | options))


def monitor():
    return RewardMonitor({"mae": MAE(2.0), "psnr": PSNR(0.1)})


def test_means_are_over_samples_and_the_sum_is_weighted():
    runner = trainer(monitor(), enable_checkpointing=False)
    runner.validate(Gray(), levels(0.1, 0.1, 1.0), verbose=False)  # batches of 2 and 1
    logged = runner.callback_metrics
    psnr = (20 + 20 + 0) / 3
    torch.testing.assert_close(logged["val/reward/mae"], torch.tensor(0.4))
    torch.testing.assert_close(logged["val/reward/psnr"], torch.tensor(psnr), atol=1e-3, rtol=0)
    total = torch.tensor(-2 * 0.4 + 0.1 * psnr)
    torch.testing.assert_close(logged["val/reward"], total, atol=1e-3, rtol=0)


def test_the_test_loop_has_its_own_prefix():
    runner = trainer(monitor(), enable_checkpointing=False)
    runner.test(Gray(), levels(0.5), verbose=False)
    assert set(runner.callback_metrics) == {"test/reward/mae", "test/reward/psnr", "test/reward"}


def test_each_validation_starts_anew_and_checkpoints_can_monitor_it(tmp_path):
    best = ModelCheckpoint(tmp_path, monitor="val/reward", mode="max", filename="best")
    runner = trainer(monitor(), best, max_epochs=2, num_sanity_val_steps=1)
    runner.fit(Gray(), levels(0.0), levels(0.3, 0.5))
    torch.testing.assert_close(runner.callback_metrics["val/reward/mae"], torch.tensor(0.4))
    torch.testing.assert_close(best.best_model_score, runner.callback_metrics["val/reward"])


class Silent(Gray):
    """Validates without a prediction."""

    def validation_step(self, batch, batch_idx):
        return None


def test_a_step_without_predictions_is_named_only_where_there_are_rewards():
    trainer(RewardMonitor(), enable_checkpointing=False).validate(Silent(), levels(0.1))
    with pytest.raises(ValueError, match=r"validation_step .* must return .*`prediction`"):
        trainer(monitor(), enable_checkpointing=False).validate(Silent(), levels(0.1))
