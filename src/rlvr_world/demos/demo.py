"""What the demos share: configs of one preset, the control of equal time, and the table."""

from collections.abc import Mapping
from pathlib import Path

import torch

from rlvr_world.demos.stages import Command, Stages

VALIDATIONS = 4
"""Validations of the control, among whose checkpoints the best is taken, as for RLVR."""

ENDLESS = 10**9
"""Samples of an epoch that ``limit_train_batches`` ends."""


class Demo(Stages):
    """Runs the stages of one demo in order.

    Args:
        command: Runs one command line of ``rlvr-world`` in this process.
        preset: Which configs to run, ``{configs}/*/{preset}.yaml``.
        folder: Where checkpoints, logs and tables go.
        data: Folder of the recording.
        configs: The folder of configs.
        overlay: YAML that says where and how every stage trains.
    """

    control_lr = 1e-3
    """Where the learning rate of the control starts."""

    def __init__(
        self,
        command: Command,
        preset: str,
        folder: Path,
        data: Path,
        configs: Path,
        overlay: Path | None = None,
    ) -> None:
        super().__init__(command, folder, overlay)
        self.preset = preset
        self.data = data
        self.configs = configs

    def config(self, stage: str, variant: str = "") -> str:
        """The path of this demo's config for a stage, or for a variant of it."""
        return str(self.configs / stage / f"{self.preset}{variant}.yaml")

    def equal_time(self, stage: str) -> tuple[str, ...]:
        """Options that make MLE train for as long as a stage did, on a schedule that fits."""
        seconds = self.trained_seconds(stage)
        checkpoint = torch.load(self.checkpoint("mle"), weights_only=True)
        steps = round(seconds * checkpoint["global_step"] / self.trained_seconds("mle"))
        batches = max(2, round(steps / VALIDATIONS))
        options = {
            "--trainer.max_epochs": VALIDATIONS,
            "--trainer.max_steps": VALIDATIONS * batches,
            "--trainer.limit_train_batches": batches,
            "--data.samples_per_epoch": ENDLESS,
            "--model.optimizer.lr": self.control_lr,
        }
        return tuple(str(part) for option in options.items() for part in option)

    def checkpoints(self, models: Mapping[str, str]) -> dict[str, Path]:
        """Checkpoints by stage, each ``last`` or ``best``."""
        return {name: self.checkpoint(name, which) for name, which in models.items()}

    def evaluate(self, models: Mapping[str, str]) -> None:
        """Score checkpoints on the test split, by stage, each ``last`` or ``best``."""
        paths = self.checkpoints(models)
        self.tabulate(self.config("evaluation"), self.data, self.folder, paths)
