"""Frames per second of the frame tokenizer, beside the same network of ``diffusers``."""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.diffusers_vq import Codec, diffusers_codec
from benchmarks.harness import Case, Contender, Work
from rlvr_world.video.tokenizer.vq_model import VQModel

CONFIGS = Path(__file__).parents[1] / "configs"
PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16}
COMMON = {"kernel_size": 3, "norm": "group", "normalize_codes": False}
"""What ``diffusers`` has no other choice for."""


@dataclass(frozen=True)
class Network:
    """Arguments of a ``VQModel``, and the frames it is measured on."""

    config: dict[str, Any]
    height: int
    width: int
    batch: int

    @property
    def comparable(self) -> bool:
        """Whether ``diffusers`` can build the same network."""
        return all(self.config[name] == value for name, value in COMMON.items())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--precisions``."""
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))


def cases(args: argparse.Namespace) -> Iterator[Case]:
    """Encoding and decoding by every network in every precision."""
    for name, network in networks(args.scale, args.device).items():
        for precision in args.precisions:
            for direction in Codec._fields:
                yield case(name, network, precision, direction, args.device)


def networks(scale: str, device: torch.device) -> dict[str, Network]:
    """The demo's network, its likeness in common layers, and the paper's for RT-1."""
    if scale == "tiny":
        tiny = {"channels": [32, 64], "levels": [5, 5], "latent_channels": 8, "layers": 1}
        return {
            "demo": Network(config("pusht") | {"channels": [32]}, 32, 32, 2),
            "tiny": Network(config("rt1") | tiny, 32, 40, 2),
        }
    small, large = (512, 32) if device.type == "cuda" else (64, 1)
    demo = config("pusht")
    return {
        "demo": Network(demo, 64, 64, small),
        "demo in 3 x 3": Network(demo | COMMON, 64, 64, small),
        "RT-1": Network(config("rt1"), 256, 320, large),
    }


def config(name: str) -> dict[str, Any]:
    """All arguments of the ``VQModel`` in a configuration of the tokenizer stage."""
    stage = yaml.safe_load((CONFIGS / name / "tokenizer.yaml").read_text())
    with torch.device("meta"):
        return VQModel(**stage["model"]["init_args"]["model"]["init_args"]).config


def case(name: str, network: Network, precision: str, direction: str, device: torch.device) -> Case:
    """One direction of one network in one precision."""

    def prepare(build: Callable[..., Codec]) -> Work:
        codec = build(**network.config, device=device)
        return working(codec, direction, network, PRECISIONS[precision], device)

    rival = Contender(
        "diffusers", lambda: prepare(diffusers_codec), ("diffusers.models.autoencoders.vq_model",)
    )
    return Case(
        f"{direction} {name}, {precision}",
        f"{network.batch} frames of {network.height} x {network.width}",
        "frames",
        Contender("VQModel", lambda: prepare(our_codec)),
        (rival,) if network.comparable else (),
    )


def working(
    codec: Codec, direction: str, network: Network, dtype: torch.dtype, device: torch.device
) -> Work:
    """Runs one direction on one batch."""
    frames = torch.rand(network.batch, 3, network.height, network.width, device=device)
    mixed = torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)
    with torch.no_grad(), mixed:
        given = frames if direction == "encode" else codec.encode(frames)

    @torch.no_grad()
    def work() -> int:
        with mixed:
            return len(getattr(codec, direction)(given))

    return work


def our_codec(device: torch.device, **config: Any) -> Codec:
    """Our tokenizer with random weights."""
    model = VQModel(**config).eval().to(device)
    return Codec(model.encode, model.decode)
