"""Rewards of validation predictions, for every stage alike."""

from collections.abc import Mapping
from typing import Any

from lightning import Callback, LightningModule, Trainer

from rlvr_world.reward import Reward, RewardSet
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

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Take the module's rewards if none were given."""
        if self.given is None:
            self.rewards = getattr(module, "rewards", self.rewards)

    def start(self, module: LightningModule) -> None:
        """Begin a new mean."""
        self.rewards.to(module.device)
        for reward in self.rewards.values():
            reward.reset()

    def add(self, outputs: Mapping[str, Any], batch: Batch) -> None:
        """Count the predictions of one batch."""
        scores = self.rewards.scores(outputs["prediction"], outputs["target"], batch)
        for name, reward in self.rewards.items():
            reward.update(scores[name])

    def report(self, module: LightningModule, prefix: str) -> None:
        """Log the means, and their weighted sum."""
        if not self.rewards:
            return
        means = {name: reward.compute() for name, reward in self.rewards.items()}
        for name, mean in means.items():
            module.log(f"{prefix}/reward/{name}", mean, sync_dist=True)
        module.log(f"{prefix}/reward", self.rewards.total(means), sync_dist=True, prog_bar=True)

    def on_validation_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Begin a new mean."""
        self.start(module)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Mapping[str, Any],
        batch: Batch,
        *_: Any,
    ) -> None:
        """Count a validation batch."""
        self.add(outputs, batch)

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Log under ``val/``."""
        self.report(module, "val")

    def on_test_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Begin a new mean."""
        self.start(module)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Mapping[str, Any],
        batch: Batch,
        *_: Any,
    ) -> None:
        """Count a test batch."""
        self.add(outputs, batch)

    def on_test_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Log under ``test/``."""
        self.report(module, "test")
