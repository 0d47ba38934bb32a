import io

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader

from rlvr_world.callbacks.prediction_logger import PredictionLogger
from rlvr_world.video.filmstrip import draw_clips


class Echo(LightningModule):
    """Predicts the last frame, or a state in words."""

    def __init__(self, words=False):
        super().__init__()
        self.words = words

    def training_step(self, batch, batch_idx):
        return None

    def validation_step(self, batch, batch_idx):
        if self.words:
            return {"prediction": ["a | b\nc", "d"], "target": [{"x": 1}, {"x": 2}]}
        return {"prediction": batch["frames"][:, 1:2] / 255, "target": batch["frames"][:, 2:] / 255}

    def picture(self, batch, target, predictions, rows):
        return None if self.words else draw_clips(batch["frames"], target, predictions, rows)

    def configure_optimizers(self):
        return None


def loader(words=False):
    video = {"frames": torch.zeros(3, 3, 16, 16, dtype=torch.uint8)}
    return DataLoader([({} if words else video) | {"key": str(i)} for i in range(6)], 5)


def fit(module, folder, **options):
    logger = TensorBoardLogger(folder, name="", version="")
    settings = {"logger": logger, "max_epochs": 2, "num_sanity_val_steps": 1}
    trainer = Trainer(
        accelerator="cpu",
        callbacks=[PredictionLogger(limit=2)],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        **(settings | options),
    )
    trainer.fit(module, loader(module.words), loader(module.words))
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def test_one_filmstrip_for_each_validation(tmp_path):
    images = fit(Echo(), tmp_path).Images("val/predictions")
    assert [image.step for image in images] == [2, 4]  # batches trained on; no sanity check
    pixels = np.asarray(Image.open(io.BytesIO(images[0].encoded_image_string)))
    assert pixels.shape[1] > 4 * 128  # two context frames, truth and prediction


def test_words_are_logged_as_a_table(tmp_path):
    events = fit(Echo(words=True), tmp_path)
    (text, _) = events.Tensors("val/predictions/text_summary")
    table = text.tensor_proto.string_val[0].decode()
    assert table.splitlines() == [
        "| truth | prediction |",
        "| --- | --- |",
        "| {'x': 1} | a &#124; b c |",
        "| {'x': 2} | d |",
    ]


def test_without_a_logger_nothing_happens(tmp_path):
    assert not fit(Echo(), tmp_path, logger=False).Tags()["images"]


def test_a_transition_is_needed():
    with pytest.raises(ValueError, match="limit"):
        PredictionLogger(0)
