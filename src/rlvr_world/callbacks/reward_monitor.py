"""Rewards of validation predictions, for every stage alike."""

from collections.abc import Mapping
from typing import Any, cast

from lightning import Callback, LightningModule, Trainer

from rlvr_world.reward import Reward, RewardSet


class RewardMonitor(Callback):
    """Logs the rewards of predictions on validation and test batches.

    Reads ``prediction`` and ``target`` from what ``validation_step`` and ``test_step`` return.
    Logs ``val/reward/<name>``, the mean of each over all samples of all ranks, and ``val/reward``,
    their weighted sum; ``test/...`` in the test loop.

    Args:
        rewards: Rewards by name; the module's own ``rewards`` if not given.
    """

    rewards: RewardSet
    terms: dict[str, Reward]

    def __init__(self, rewards: dict[str, Reward] | None = None) -> None:
        self.given = rewards

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Take the module's rewards if none were given.

        Raises:
            ValueError: It has none either.
        """
        rewards = self.given or getattr(module, "rewards", None)
        if not rewards:
            raise ValueError(
                f"RewardMonitor: {type(module).__name__} has no rewards; give `rewards` to one of "
                "them, or leave the callback out"
            )
        self.rewards = rewards if isinstance(rewards, RewardSet) else RewardSet(rewards)
        self.terms = cast("dict[str, Reward]", dict(self.rewards.items()))

    def start(self, module: LightningModule) -> None:
        """Begin a new mean."""
        self.rewards.to(module.device)
        for reward in self.terms.values():
            reward.reset()

    def add(self, outputs: Mapping[str, Any]) -> None:
        """Count the predictions of one batch."""
        scores = self.rewards.scores(outputs["prediction"], outputs["target"])
        for name, reward in self.terms.items():
            reward.update(scores[name])

    def report(self, module: LightningModule, prefix: str) -> None:
        """Log the means, and their weighted sum."""
        means = {name: reward.compute() for name, reward in self.terms.items()}
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
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count a validation batch."""
        self.add(outputs)

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
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count a test batch."""
        self.add(outputs)

    def on_test_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Log under ``test/``."""
        self.report(module, "test")
