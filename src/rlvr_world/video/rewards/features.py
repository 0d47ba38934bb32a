"""A reward for what a pretrained backbone sees in frames."""

import inspect
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModel
from transformers.image_processing_base import ImageProcessingMixin

from rlvr_world.frozen import Frozen
from rlvr_world.nn.pretrained import pretrained
from rlvr_world.reward import group_size
from rlvr_world.rl.budget import check_positive
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
        chunk: Number of predicted frames that pass through the backbone at once; bounds the memory.
    """

    higher_is_better = False

    def __init__(
        self, source: Path | str, size: int = 224, weight: float = 1.0, chunk: int = 32
    ) -> None:
        super().__init__(weight)
        check_positive(size=size, chunk=chunk)
        self.source, self.size, self.chunk = source, size, chunk
        self.backbone = Frozen(ImageBackbone(source))
        self.check()

    @property
    def label(self) -> str:
        return f"FeatureDistance ({Path(self.source).resolve().name})"

    def check(self) -> None:
        """Raise ``ValueError`` unless the backbone sees frames of this size, and always alike."""
        patch = getattr(self.backbone.module.model.config, "patch_size", None)
        if isinstance(patch, int) and self.size % patch:
            raise ValueError(f"size must be a multiple of the {patch} of a patch, got {self.size}")
        frame = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        try:
            with torch.no_grad():
                first, second = (self.features(frame) for _ in range(2))
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(
                f"{self.source}: it sees no frames of {self.size} x {self.size} pixels ({reason}); "
                "give another size or a model of single pictures"
            ) from error
        if not (first.isfinite().all() and torch.equal(first, second)):
            raise ValueError(
                f"{self.source}: it does not see the same frame alike, or sees no numbers; give a "
                "model without random masks"
            )

    def frame_scores(self, prediction: Tensor, target: Tensor) -> Tensor:
        group, frames = group_size(prediction, target), target.shape[1]
        seen = rearrange(prediction, "(b g) f c h w -> (b f g) c h w", g=group)
        targets, scores = max(1, self.chunk // group), []
        pairs = zip(seen.split(targets * group), target.flatten(0, 1).split(targets), strict=True)
        for mine, theirs in pairs:
            members = self.features(mine).unflatten(0, (-1, group))
            difference = members - self.features(theirs)[:, None]
            scores.append(difference.square().mean(dim=-1).flatten())
        return rearrange(torch.cat(scores), "(b f g) -> (b g) f", f=frames, g=group)

    def features(self, frames: Tensor) -> Tensor:
        """The features of frames [N, 3, H, W] in [0, 1], [N, D]."""
        if frames.shape[1] != 3:
            raise ValueError(f"{self.label} reads frames of 3 channels, not {frames.shape[1]}")
        size = (self.size, self.size)
        resized = F.interpolate(
            frames.float(), size, mode="bilinear", antialias=True, align_corners=False
        )
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
        for name, values in zip(("mean", "std"), normalization(source), strict=True):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1))
        known = inspect.signature(self.model.forward).parameters
        self.options = {name: True for name in ("interpolate_pos_encoding",) if name in known}

    def forward(self, frames: Tensor) -> Tensor:
        seen = (frames - self.mean) / self.std
        return self.model(pixel_values=seen, **self.options).last_hidden_state


def normalization(source: Path | str) -> tuple[list[float], list[float]]:
    """Mean and deviation of the channels in a model's preprocessor_config.json, nothing else."""
    try:
        settings, _ = ImageProcessingMixin.get_image_processor_dict(source)
        mean, std = ([float(x) for x in settings[name]] for name in ("image_mean", "image_std"))
        sound = all(abs(number) < 1e3 for number in mean + std)  # so no NaN, either
        if len(mean) != 3 or len(std) != 3 or not sound or min(std) <= 0:
            raise ValueError(f"image_mean {mean} and image_std {std}")
        return mean, std
    except Exception as error:
        reason = str(error).strip().partition("\n")[0][:200]
        raise ValueError(
            f"{source}: its preprocessor_config.json must hold image_mean and image_std, three "
            f"numbers each, the latter above 0 ({type(error).__name__}: {reason})"
        ) from error
