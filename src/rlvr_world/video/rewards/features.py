"""A reward for what a pretrained backbone sees in frames."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModel
from transformers.image_processing_base import ImageProcessingMixin

from rlvr_world.frozen import Frozen
from rlvr_world.nn.pretrained import pretrained
from rlvr_world.reward import group_size
from rlvr_world.video.rewards.frames import VideoReward


class FeatureDistance(VideoReward):
    """Mean squared difference of the features that a pretrained backbone has of two frames.

    The backbone is any model of pictures of ``transformers``: DINOv2, whose features are the cost
    of plans in DINO-WM (Zhou et al., 2024), ViT, SigLIP, ResNet. It is frozen and never saved, and
    runs in float32. Gradients flow through it to the frames.

    Args:
        source: Folder of the model, or its name on the hub, ``facebook/dinov2-small``.
        size: Side in pixels that frames are resized to, a multiple of the model's patches.
        weight: Factor in the total reward.
        chunk: Number of frames that pass through the backbone at once; bounds the memory.
    """

    higher_is_better = False

    def __init__(
        self, source: Path | str, size: int = 224, weight: float = 1.0, chunk: int = 32
    ) -> None:
        super().__init__(weight)
        self.source, self.size, self.chunk = source, size, chunk
        self.backbone = Frozen(ImageBackbone(source))
        patch = getattr(self.backbone.module.model.config, "patch_size", 1)
        if size < 1 or size % patch:
            raise ValueError(
                f"size must be a multiple of the {patch} pixels of a patch, got {size}"
            )

    @property
    def label(self) -> str:
        return f"FeatureDistance ({Path(self.source).name})"

    def frame_scores(self, prediction: Tensor, target: Tensor) -> Tensor:
        group = group_size(prediction, target)
        true = [self.features(part) for part in self.parts(target)]
        seen = [self.features(part) for part in self.parts(prediction)]
        members = torch.cat(seen).view(len(target), group, target.shape[1], -1)
        truths = torch.cat(true).view(len(target), 1, target.shape[1], -1)
        return (members - truths).square().mean(dim=-1).flatten(0, 1)

    def parts(self, frames: Tensor) -> Iterator[Tensor]:
        yield from frames.flatten(0, 1).float().split(self.chunk)

    def features(self, frames: Tensor) -> Tensor:
        """The features of frames [N, 3, H, W] in [0, 1], [N, D]."""
        size = (self.size, self.size)
        resized = F.interpolate(frames, size, mode="bilinear", antialias=True, align_corners=False)
        with torch.autocast(frames.device.type, enabled=False):
            return self.backbone.on(frames.device)(resized).flatten(1)


class ImageBackbone(nn.Module):
    """The last hidden states of a model of ``transformers`` for frames in [0, 1]."""

    mean: Tensor
    std: Tensor

    def __init__(self, source: Path | str) -> None:
        super().__init__()
        model: Any = pretrained(source, AutoModel, torch.float32)
        self.model = getattr(model, "vision_model", model)  # of CLIP and its like
        if self.model.main_input_name != "pixel_values":
            raise ValueError(f"{source}: {type(model).__name__} is no model of pictures")
        settings = normalization(source)
        self.register_buffer("mean", torch.tensor(settings["image_mean"]).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(settings["image_std"]).view(-1, 1, 1))
        known = inspect.signature(self.model.forward).parameters
        self.options = {name: True for name in ("interpolate_pos_encoding",) if name in known}

    def forward(self, frames: Tensor) -> Tensor:
        seen = (frames - self.mean) / self.std
        return self.model(pixel_values=seen, **self.options).last_hidden_state


def normalization(source: Path | str) -> dict[str, Any]:
    """What a model's preprocessor_config.json says; only mean and deviation are read."""
    try:
        settings, _ = ImageProcessingMixin.get_image_processor_dict(source)
        return {name: settings[name] for name in ("image_mean", "image_std")}
    except (OSError, KeyError) as error:
        raise ValueError(
            f"{source}: its preprocessor_config.json with image_mean and image_std is missing"
        ) from error
