"""Rewards of validation predictions, for every stage alike."""

import warnings
from collections.abc import Mapping

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.types import STEP_OUTPUT

from rlvr_world.reward import Reward, RewardSet, not_finite
from rlvr_world.types import Batch


class RewardMonitor(Callback):
    """Logs the rewards of predictions on validation and test batches.

    Reads ``prediction`` and ``target`` from what ``validation_step`` and ``test_step`` return.
    Logs ``val/reward/<name>``, the mean of each over all samples of all ranks, and ``val/reward``,
    their weighted sum; ``test/...`` in the test loop. Does nothing without rewards.

    Args:
        rewards: Rewards by name; those of the module, ``module.rewards``, if not given.
    """

    def __init__(self, rewards: dict[str, Reward] | None = None) -> None:
        self.given = rewards
        self.rewards = RewardSet(rewards)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the module's rewards if none were given."""
        if self.given is None:
            self.rewards = getattr(pl_module, "rewards", self.rewards)

    def add(self, outputs: STEP_OUTPUT, batch: Batch) -> None:
        """Count the predictions of one batch.

        Raises:
            ValueError: The module's step returned no predictions.
        """
        if not self.rewards:
            return
        if not isinstance(outputs, Mapping) or not {"prediction", "target"} <= outputs.keys():
            raise ValueError(
                "RewardMonitor: validation_step and test_step must return a dict with `prediction` "
                "and `target`"
            )
        shown = (outputs["prediction"], outputs["target"], batch)
        scores = self.rewards.scores(*shown, finite=False)
        if fault := not_finite(scores, batch):
            warnings.warn(f"validation: {fault}, and so is its mean", stacklevel=2)
        for name, reward in self.rewards.items():
            reward.update(scores[name])

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin new means."""
        self.rewards.to(pl_module.device)
        for reward in self.rewards.values():
            reward.reset()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count a batch."""
        self.add(outputs, batch)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the means, and their weighted sum."""
        if not self.rewards:
            return
        prefix = "test" if trainer.testing else "val"
        means = {name: reward.compute() for name, reward in self.rewards.items()}
        for name, mean in means.items():
            pl_module.log(f"{prefix}/reward/{name}", mean, sync_dist=True)
        pl_module.log(f"{prefix}/reward", self.rewards.total(means), sync_dist=True, prog_bar=True)

    on_test_epoch_start = on_validation_epoch_start
    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end
