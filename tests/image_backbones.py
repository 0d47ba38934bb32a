"""Small backbones of pictures from random weights, saved as transformers saves pretrained ones."""

import json
from pathlib import Path

import torch
from transformers import Dinov2Config, Dinov2Model, PreTrainedModel

MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


def saved_backbone(folder: Path, model: PreTrainedModel) -> Path:
    """The folder, in which a model and its preprocessor_config.json lie afterwards."""
    model.save_pretrained(folder)
    settings = json.dumps({"image_mean": MEAN, "image_std": STD})
    (folder / "preprocessor_config.json").write_text(settings)
    return folder


def dinov2(folder: Path) -> Path:
    torch.manual_seed(0)
    return saved_backbone(folder, Dinov2Model(Dinov2Config(image_size=28, patch_size=14, **SMALL)))
