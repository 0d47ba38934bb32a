"""Training of the probe that reads positions off pictures."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rlvr_world.modules.stage import Stage
from rlvr_world.types import Batch
from rlvr_world.video.scenes.state_probe import CHECKPOINT_KEY, StateProbe, distances


class StateProbeRegression(Stage):
    """Trains a ``StateProbe`` on true pictures and the simulator's states.

    Logs the mean distance ``val/{part}`` of each part from its true place, in the units of the
    state, and their sum ``val/error``.

    Args:
        probe: The probe.
        noise: Standard deviation of the noise that training adds to pixels in [0, 1], so that the
            probe can also read pictures that a tokenizer has drawn.
        **stage: See ``Stage``.
    """

    def __init__(self, probe: StateProbe, noise: float = 0.02, **stage: Any) -> None:
        super().__init__(**stage)
        self.save_hyperparameters()
        self.probe = probe
        self.noise = noise

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        frames = batch["frames"].flatten(0, 1).float() / 255
        frames = frames + self.noise * torch.randn_like(frames)
        target = self.probe.target(true_states(batch)).flatten(0, 1)
        loss = F.l1_loss(self.probe(frames), target)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int, prefix: str = "val") -> None:
        read = self.probe.read(batch["frames"].float() / 255)
        errors = distances(read, self.probe.truth(true_states(batch)))
        means = {name: error.mean() for name, error in errors.items()}
        means["error"] = torch.stack(list(means.values())).sum()
        logged = {f"{prefix}/{name}": mean for name, mean in means.items()}
        size = len(batch["frames"])
        self.log_dict(logged, batch_size=size, sync_dist=True, prog_bar=True)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.validation_step(batch, batch_idx, prefix="test")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint[CHECKPOINT_KEY] = self.probe.config

    def check_compatible(self, checkpoint: dict[str, Any], path: Path) -> None:
        if checkpoint.get(CHECKPOINT_KEY) != self.probe.config:
            raise ValueError(f"{path}: not the checkpoint of a state probe with the same settings")


def true_states(batch: Batch) -> Tensor:
    """The simulator's states in a batch, [B, T, S]."""
    if "states" not in batch:
        raise ValueError("a state probe needs the simulator's states; the data has none")
    return batch["states"]
