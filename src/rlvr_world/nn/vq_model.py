"""The frame tokenizer: a convolutional autoencoder with a finite scalar bottleneck."""

import hashlib
import json
import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rlvr_world.nn.autoencoder import Decoder, Encoder, Norm
from rlvr_world.nn.quantize import FiniteScalarQuantizer

CHECKPOINT_KEY = "vq_model"
"""Where a Lightning checkpoint of the tokenizer keeps the arguments of its ``VQModel``."""


class Reconstruction(NamedTuple):
    """What ``VQModel.forward`` returns."""

    frames: Tensor  # [N, 3, H, W], not clamped
    indices: Tensor  # [N, h, w] long


class VQModel(nn.Module):
    """Turns single frames into a grid of codes and back.

    The defaults are the per-frame tokenizer released with RLVR-World: 104.41 M
    parameters, 16 x 16 pixels per code, 4375 codes.

    Args:
        channels: Width of each block; the resolution halves between neighbouring blocks.
        levels: Levels of each channel of the quantiser; their product is the codebook size.
        latent_channels: Width on both sides of the quantiser.
        layers: Residual blocks per block, in the encoder and in the decoder.
        stem: Factor by which pixels are folded into channels at the input and unfolded at the
            output; 1 keeps the first and last convolution at full resolution.
        kernel_size: Side of the encoder's convolutions; with 1 a code describes its own pixels
            only, so that it changes exactly when they do.
        norm: ``group`` or ``batch``.
        attention: Whether the middles of encoder and decoder attend over the whole picture.
        normalize_codes: Standardise the channels before they are quantised.
    """

    def __init__(
        self,
        channels: Sequence[int] = (128, 256, 256, 512, 768),
        levels: Sequence[int] = (7, 5, 5, 5, 5),
        latent_channels: int = 64,
        layers: int = 2,
        stem: int = 1,
        kernel_size: int = 3,
        norm: Norm = "group",
        attention: bool = True,
        normalize_codes: bool = False,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "channels": list(channels),
            "levels": list(levels),
            "latent_channels": latent_channels,
            "layers": layers,
            "stem": stem,
            "kernel_size": kernel_size,
            "norm": norm,
            "attention": attention,
            "normalize_codes": normalize_codes,
        }
        self.encoder = Encoder(
            channels, latent_channels, layers, stem, kernel_size, norm, attention
        )
        self.to_codes = nn.Conv2d(latent_channels, len(levels), 1)
        self.quantizer = FiniteScalarQuantizer(levels, normalize_codes)
        self.from_codes = nn.Conv2d(len(levels), latent_channels, 1)
        self.decoder = Decoder(channels, latent_channels, layers, stem, norm, attention)
        self.downscale = stem * 2 ** (len(channels) - 1)

    @property
    def num_codes(self) -> int:
        """The codebook size."""
        return self.quantizer.num_codes

    def forward(self, frames: Tensor) -> Reconstruction:
        """Reconstruct frames [N, 3, H, W] in [0, 1], with gradients through the quantiser."""
        quantized = self.quantizer(self._latents(frames))
        return Reconstruction(self.decoder(self.from_codes(quantized.codes)), quantized.indices)

    def encode(self, frames: Tensor) -> Tensor:
        """The codes [N, H / downscale, W / downscale] long of frames [N, 3, H, W] in [0, 1]."""
        return self.quantizer(self._latents(frames)).indices

    def decode(self, indices: Tensor) -> Tensor:
        """The frames [N, 3, H, W] in [0, 1] of codes [N, h, w] long."""
        return self.decoder(self.from_codes(self.quantizer.lookup(indices))).clamp(0, 1)

    def _latents(self, frames: Tensor) -> Tensor:
        height, width = frames.shape[-2:]
        if height % self.downscale or width % self.downscale:
            raise ValueError(
                f"frames of {height} x {width} pixels do not divide into codes of "
                f"{self.downscale} x {self.downscale} pixels; resize the frames or change "
                "channels or stem"
            )
        return self.to_codes(self.encoder(frames))

    @property
    def fingerprint(self) -> str:
        """A short hash of arguments and weights; two models with equal ones code alike."""
        digest = hashlib.sha256(json.dumps(self.config, sort_keys=True).encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def export(self, folder: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors``, which ``load_vq_model`` reads."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        save_file(weights, folder / "model.safetensors.part")
        (folder / "config.json.part").write_text(json.dumps(self.config, indent=2) + "\n")
        for name in ("model.safetensors", "config.json"):
            os.replace(folder / f"{name}.part", folder / name)


def load_vq_model(path: str | Path) -> VQModel:
    """The tokenizer in a checkpoint of the tokenizer stage or in an exported folder, on the CPU.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated, or of another kind.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such tokenizer; the tokenizer stage makes it: "
            "rlvr-world fit -c configs/tokenizer/<name>.yaml"
        )
    try:
        config, weights = _read_folder(path) if path.is_dir() else _read_checkpoint(path)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, SafetensorError) as error:
        raise ValueError(
            f"{path}: cannot be read as a tokenizer, it may be truncated; copy it again or train "
            "the tokenizer again"
        ) from error
    model = VQModel(**config)
    model.load_state_dict(weights)
    return model


def _read_folder(folder: Path) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
    config = json.loads((folder / "config.json").read_text())
    return config, load_file(folder / "model.safetensors")


def _read_checkpoint(path: Path) -> tuple[dict[str, Any], Mapping[str, Tensor]]:
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(checkpoint, dict) or CHECKPOINT_KEY not in checkpoint:
        raise ValueError(
            f"{path}: not a tokenizer checkpoint (it has no {CHECKPOINT_KEY!r}); give the one that "
            "the tokenizer stage wrote"
        )
    prefix = "model."
    weights = {
        name.removeprefix(prefix): tensor
        for name, tensor in checkpoint["state_dict"].items()
        if name.startswith(prefix)
    }
    return checkpoint[CHECKPOINT_KEY], weights
