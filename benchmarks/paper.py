"""The paper's sizes: rollouts and whole RLVR steps on RT-1, and how close they are to the floors.

A step samples, decodes, scores with LPIPS (a VGG trunk), asks the reference and updates.

The networks have random weights and the frames are noise: speed does not depend on them.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from torch.utils.data import DataLoader

from benchmarks.fit import checkpoint, trainer
from benchmarks.floors import arithmetic, bandwidth, decode_bytes, update_operations
from benchmarks.harness import Case, Contender, Unavailable, Work
from benchmarks.rollout import Shape, cache_bytes, our_work, their_work
from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.nn.llama import to_llama
from rlvr_world.nn.transformer import Transformer
from rlvr_world.rl.sampler import Sampler
from rlvr_world.rl.vllm.sampler import VLLMSampler
from rlvr_world.types import Batch
from rlvr_world.video.codecs.context import ContextVideoCodec
from rlvr_world.video.codecs.frame import FrameCodec
from rlvr_world.video.codecs.video_codec import VideoCodec
from rlvr_world.video.rewards.frames import LPIPS, MAE
from rlvr_world.video.tokenizer.compressive import CompressiveVQModel
from rlvr_world.video.tokenizer.vq_model import VQModel

CONFIGS = Path(__file__).parents[1] / "configs" / "rt1"
FULL: dict[str, Any] = {
    "model": {"dim": 768, "depth": 12, "heads": 12, "hidden": 3072},
    "vocabulary": {"single-step": 4633, "multi-step": 9008},
    "rollouts": {
        "single-step": Shape(128, 1333, 1333, 16, 321),
        "multi-step": Shape(128, 1373, 1373, 16, 80, rounds=7, given=13),
    },
    "beside generate": Shape(16, 1333, 1333, 16, 321),
    "frame": (256, 320),
    "tokenizer": {"single-step": {}, "multi-step": {}},
    "prompts": 128,
    "group": 16,
}
TINY: dict[str, Any] = {
    "model": {"dim": 32, "depth": 2, "heads": 2, "hidden": 64},
    "vocabulary": {"single-step": 64, "multi-step": 80},
    "rollouts": {
        "single-step": Shape(4, 12, 12, 4, 6),
        "multi-step": Shape(4, 12, 12, 4, 4, rounds=3, given=2),
    },
    "beside generate": Shape(2, 12, 12, 4, 6),
    "frame": (32, 32),
    "tokenizer": {
        "single-step": {"channels": [8] * 5, "latent_channels": 8, "layers": 1},
        "multi-step": {
            "frame_size": (32, 32),
            "channels": [8] * 3,
            "latent_channels": 8,
            "layers": 1,
        },
    },
    "prompts": 4,
    "group": 2,
}
MINIBATCHES = 4
ACTION_DIMS = 13
GIVEN_FRAMES = {"single-step": 4, "multi-step": 1}
CLIP_LENGTH = {"single-step": 5, "multi-step": 8}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--cases``, ``--compiled``, ``--token-budget``."""
    parser.add_argument("--cases", nargs="+", choices=("rollout", "generate", "step"), default=None)
    parser.add_argument("--compiled", action="store_true", help="compile blocks and decode step")
    parser.add_argument("--token-budget", type=int, default=60_000, help="of the update")


def cases(args: argparse.Namespace) -> Iterator[Case]:
    """Rollouts, the rollout beside ``generate``, and whole RLVR steps."""
    sizes = TINY if args.scale == "tiny" else FULL
    chosen = args.cases or ("rollout", "generate", "step")
    sampler = Sampler(compiled=args.compiled)
    if "rollout" in chosen:
        for name, shape in sizes["rollouts"].items():
            model = transformer(sizes, name, args)
            ours = Contender("Sampler", lambda m=model, s=shape: our_work(m, s, sampler))
            yield Case(f"{name} rollout", str(shape), "tokens", ours, (), floors(model, shape))
    if "generate" in chosen:
        model, shape = transformer(sizes, "single-step", args), sizes["beside generate"]
        ours = Contender("Sampler", lambda: our_work(model, shape, sampler))
        generate = Contender("generate", lambda: their_work(model, shape))
        vllm = Contender("vLLM", lambda: vllm_work(model, shape), ("vllm",))
        yield Case("rollout beside generate", str(shape), "tokens", ours, (vllm, generate))
    for name in sizes["rollouts"] if "step" in chosen else ():
        yield step_case(name, sizes, args)


def step_case(name: str, sizes: dict[str, Any], args: argparse.Namespace) -> Case:
    """The whole RLVR step, with the seconds of its parts as notes."""
    notes: dict[str, Any] = {}
    ours = Contender("RLVRWorldModel", lambda: whole_step(name, sizes, args, notes))
    frames = CLIP_LENGTH[name] - GIVEN_FRAMES[name]
    text = (
        f"{sizes['prompts']} prompts x {sizes['group']}, {frames} predicted frame"
        f"{'s' * (frames > 1)} of {sizes['frame'][0]} x {sizes['frame'][1]}"
    )
    return Case(f"{name} RLVR step", text, "predictions", ours, (), notes)


def transformer(sizes: dict[str, Any], name: str, args: argparse.Namespace) -> Transformer:
    """The model, with weights as they are computed with: bfloat16 on a GPU."""
    torch.manual_seed(0)
    dtype = torch.bfloat16 if args.device.type == "cuda" else torch.float32
    model = Transformer(sizes["vocabulary"][name], **sizes["model"])
    return model.to(args.device, dtype).eval()


def floors(model: Transformer, shape: Shape) -> dict[str, float]:
    """Seconds that memory bandwidth and arithmetic allow at best on this device."""
    weight = model.embedding.weight
    read = decode_bytes(model, shape, weight.itemsize)
    operations = update_operations(model, shape)
    return {
        "KV cache on paper, MiB": cache_bytes(model, shape) / 2**20,
        "decode at the bandwidth measured here, s": read / bandwidth(weight.device),
        "update at the arithmetic measured here, s": operations
        / arithmetic(weight.device, weight.dtype),
    }


def vllm_work(model: Transformer, shape: Shape) -> Work:
    """The same rollout by a vLLM engine in this process, its weights already handed over."""
    if not model.embedding.weight.is_cuda:
        raise Unavailable("it needs a GPU")
    folder = tempfile.mkdtemp()
    to_llama(model).config.save_pretrained(folder)
    return our_work(model, shape, VLLMSampler(folder, gpu_memory_utilization=0.4))


def whole_step(
    name: str, sizes: dict[str, Any], args: argparse.Namespace, notes: dict[str, Any]
) -> Work:
    """``fit`` for one batch of all clips; ``notes`` get the parts, beside what they could be."""
    torch.manual_seed(0)
    codec, folder = codec_of(name, sizes), Path(tempfile.mkdtemp())
    floor = floors(transformer(sizes, name, args), shape_of(name, codec, sizes))
    decode, update = (floor[key] for key in list(floor)[1:])

    def backbone(vocab_size: int) -> Transformer:
        return Transformer(vocab_size, **sizes["model"], compiled=args.compiled)

    options = {"precision": "bf16-mixed"} if args.device.type == "cuda" else {}
    model = RLVRWorldModel(
        codec=codec,
        backbone=backbone,
        rewards={"mae": MAE(), "lpips": LPIPS("st-vgg", chunk=64)},
        weights=checkpoint(MLEWorldModel(codec=codec, backbone=backbone), folder, args.device),
        group_size=sizes["group"],
        num_minibatches=MINIBATCHES,
        sampler=Sampler(compiled=args.compiled),
        token_budget=args.token_budget,
    )
    rows = [clip(name, index, sizes["frame"]) for index in range(sizes["prompts"])]
    loader = DataLoader(rows, batch_size=len(rows))

    def work() -> int:
        runner = trainer(folder, args.device, MINIBATCHES, **options)
        runner.fit(model, loader)
        logged = {key: float(value) for key, value in runner.logged_metrics.items()}
        parts = {key[5:]: value for key, value in logged.items() if key.startswith("time/")}
        notes.update({f"{part}, s": seconds for part, seconds in parts.items()})
        notes["step, s"] = sum(parts.values())
        notes["sampled tokens per second"] = logged["train/tokens_per_second"]
        notes["times the floor of decoding"] = parts["rollout"] / decode
        notes["times the floor of the update"] = parts["update"] / update
        return len(rows) * sizes["group"]

    return work


def codec_of(name: str, sizes: dict[str, Any]) -> VideoCodec:
    """RT-1's codec, whose tokenizer has random weights."""
    folder = CONFIGS / ("multi_step" if name == "multi-step" else "")
    stage = yaml.safe_load((folder / "tokenizer.yaml").read_text())["model"]["init_args"]
    settings = stage["model"]["init_args"] | sizes["tokenizer"][name]
    limits = {"action_low": [0.0] * ACTION_DIMS, "action_high": [1.0] * ACTION_DIMS}
    if name == "multi-step":
        return ContextVideoCodec(CompressiveVQModel(**settings), **limits)
    frames = GIVEN_FRAMES[name]
    return FrameCodec(VQModel(**settings), sizes["frame"], context_frames=frames, **limits)


def shape_of(name: str, codec: VideoCodec, sizes: dict[str, Any]) -> Shape:
    """The rollout of a step."""
    new, rounds = codec.tokens_per_frame, CLIP_LENGTH[name] - GIVEN_FRAMES[name]
    length = len(codec.prefix_places) + GIVEN_FRAMES[name] * (new + ACTION_DIMS)
    return Shape(sizes["prompts"], length, length, sizes["group"], new, rounds, ACTION_DIMS)


def clip(name: str, index: int, frame: tuple[int, int]) -> Batch:
    """A clip of noise, with a context frame for the multi-step model."""
    generator = torch.Generator().manual_seed(index)
    length = CLIP_LENGTH[name]
    shape = (length + 1, 3, *frame)
    frames = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    actions = torch.rand(length, ACTION_DIMS, generator=generator)
    sample = {"frames": frames[1:], "actions": actions, "key": str(index)}
    return sample | {"context": frames[0]} if name == "multi-step" else sample
