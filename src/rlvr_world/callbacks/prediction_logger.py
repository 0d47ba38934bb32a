"""Predictions of the same validation transitions, at every validation."""

from typing import Any

import numpy as np
from lightning import Callback, LightningModule, Trainer

from rlvr_world.callbacks.boards import Table, animation, boards
from rlvr_world.types import Batch


class PredictionLogger(Callback):
    """Shows how the predictions of a few validation transitions develop.

    At each validation logs ``val/predictions``: the picture of truth and prediction that the codec
    draws (or the module, if it has no codec), or else a table of both in words; and ``val/clips``,
    the same as a moving picture, where it draws one. The transitions are spread evenly over the
    first validation batch.

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
        first = batch_idx == 0 and dataloader_idx == 0 and not trainer.sanity_checking
        shown = boards(trainer) if first else []
        if not shown:
            return
        prediction, target = outputs["prediction"], outputs["target"]
        count = len(target)
        rows = np.linspace(0, count - 1, min(self.limit, count)).astype(int).tolist()
        drawer: Any = getattr(module, "codec", module)
        drawn = batch, target, {"prediction": prediction}, rows
        picture = drawer.picture(*drawn) if hasattr(drawer, "picture") else None
        frames = drawer.clip(*drawn) if hasattr(drawer, "clip") else None
        gif = None if frames is None else animation(frames)
        states = [(str(target[row]), str(prediction[row])) for row in rows]
        step = trainer.fit_loop.total_batch_idx + 1
        for board in shown:
            if picture is None:
                board.table("val/predictions", Table(("truth", "prediction"), states), step)
            else:
                board.picture("val/predictions", picture, step)
            if gif is not None:
                board.clip("val/clips", gif, step)
