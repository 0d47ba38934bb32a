"""Predictions of the same validation clips, at every validation, in TensorBoard."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from rlvr_world.types import Batch
from rlvr_world.video.filmstrip import filmstrip


class PredictionLogger(Callback):
    """Shows how the predictions of a few validation clips develop.

    At each validation logs ``val/predictions``: a filmstrip of context, truth, prediction and error
    for video, a table of truth and prediction for states in words. The clips are spread evenly over
    the first validation batch. Does nothing without a TensorBoard logger.

    Args:
        num_clips: Number of clips to show.
    """

    def __init__(self, num_clips: int = 4) -> None:
        if num_clips < 1:
            raise ValueError(f"num_clips must be at least 1, got {num_clips}")
        self.num_clips = num_clips

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Mapping[str, Any],
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Log the clips of the first batch."""
        loggers = [log for log in trainer.loggers if isinstance(log, TensorBoardLogger)]
        first = batch_idx == 0 and dataloader_idx == 0 and not trainer.sanity_checking
        if not (first and loggers and trainer.is_global_zero):
            return
        prediction, target = outputs["prediction"], outputs["target"]
        chosen = np.linspace(0, len(target) - 1, min(self.num_clips, len(target))).astype(int)
        step = trainer.fit_loop.total_batch_idx + 1
        for logger in loggers:
            if "frames" in batch:
                picture = clips(batch, prediction, target, chosen.tolist())
                logger.experiment.add_image("val/predictions", picture, step, dataformats="HWC")
            else:
                text = states_table(prediction, target, chosen.tolist())
                logger.experiment.add_text("val/predictions", text, step)


def clips(batch: Batch, prediction: Tensor, target: Tensor, chosen: list[int]) -> np.ndarray:
    """The filmstrip of the chosen clips."""
    context = batch["frames"][chosen, : -target.shape[1]]
    return filmstrip(
        context.cpu().numpy(),
        target[chosen].float().cpu().numpy(),
        {"prediction": prediction[chosen].float().cpu().numpy()},
    )


def states_table(prediction: Sequence[Any], target: Sequence[Any], chosen: list[int]) -> str:
    """A Markdown table of true and predicted states."""
    rows = ["| truth | prediction |", "| --- | --- |"]
    for index in chosen:
        cells = (str(states[index]).replace("|", "\\|") for states in (target, prediction))
        rows.append("| " + " | ".join(" ".join(cell.split()) for cell in cells) + " |")
    return "\n".join(rows)
