"""Predictions of the same validation transitions, at every validation, in TensorBoard."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from rlvr_world.types import Batch


class PredictionLogger(Callback):
    """Shows how the predictions of a few validation transitions develop.

    At each validation logs ``val/predictions``: the picture of truth and prediction that the codec
    draws (or the module, if it has no codec), or else a table of both in words. The transitions are
    spread evenly over the first validation batch. Does nothing without a TensorBoard logger.

    Args:
        limit: The most transitions to show.
    """

    def __init__(self, limit: int = 4) -> None:
        if limit < 1:
            raise ValueError(f"limit must be at least 1, got {limit}")
        self.limit = limit

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Log some transitions of the first batch."""
        loggers = [log for log in trainer.loggers if isinstance(log, TensorBoardLogger)]
        first = batch_idx == 0 and dataloader_idx == 0 and not trainer.sanity_checking
        if not (first and loggers and trainer.is_global_zero):
            return
        prediction, target = outputs["prediction"], outputs["target"]
        count = len(target)
        rows = np.linspace(0, count - 1, min(self.limit, count)).astype(int).tolist()
        drawer: Any = getattr(module, "codec", module)
        picture = None
        if hasattr(drawer, "picture"):
            picture = drawer.picture(batch, target, {"prediction": prediction}, rows)
        step = trainer.fit_loop.total_batch_idx + 1
        for logger in loggers:
            board = logger.experiment
            if picture is None:
                board.add_text("val/predictions", states_table(prediction, target, rows), step)
            else:
                board.add_image("val/predictions", picture, step, dataformats="HWC")


def states_table(prediction: Sequence[Any], target: Sequence[Any], rows: Sequence[int]) -> str:
    """A Markdown table of some true and predicted states."""
    lines = ["| truth | prediction |", "| --- | --- |"]
    for row in rows:
        cells = (str(states[row]).replace("|", "\\|") for states in (target, prediction))
        lines.append("| " + " | ".join(" ".join(cell.split()) for cell in cells) + " |")
    return "\n".join(lines)
