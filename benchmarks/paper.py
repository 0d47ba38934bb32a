"""The paper's sizes: rollouts and whole RLVR steps on RT-1, and how close they are to the floors.

The networks have random weights and the frames are noise: speed does not depend on them.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks.fit import EvenShare, checkpoint, trainer
from benchmarks.floors import arithmetic, bandwidth, decode_bytes, update_operations
from benchmarks.harness import Case, Contender, Work
from benchmarks.rollout import Shape, cache_bytes, our_work, their_work
from rlvr_world.codec import Codec
from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.reward import Reward
from rlvr_world.rl.sampler import Sampler
from rlvr_world.types import TokenSequence
from rlvr_world.video.codecs.frame import FrameCodec
from rlvr_world.video.rewards.frames import LPIPS, MAE
from rlvr_world.video.tokenizer.vq_model import VQModel

TOKENIZER = Path(__file__).parents[1] / "configs" / "rt1" / "tokenizer.yaml"
FULL = {
    "model": {"dim": 768, "depth": 12, "heads": 12, "hidden": 3072},
    "vocabulary": {"single-step": 4633, "multi-step": 9008},
    "rollouts": {
        "single-step": Shape(128, 1333, 1333, 16, 321),
        "multi-step": Shape(128, 1373, 1373, 16, 80, rounds=7, given=13),
    },
    "beside generate": Shape(16, 1333, 1333, 16, 321),
    "frame": (256, 320),
    "tokenizer": {},
    "prompts": 128,
    "group": 16,
}
TINY = {
    "model": {"dim": 32, "depth": 2, "heads": 2, "hidden": 64},
    "vocabulary": {"single-step": 64, "multi-step": 80},
    "rollouts": {
        "single-step": Shape(4, 12, 12, 4, 6),
        "multi-step": Shape(4, 12, 12, 4, 4, rounds=3, given=2),
    },
    "beside generate": Shape(2, 12, 12, 4, 6),
    "frame": (32, 48),
    "tokenizer": {"channels": [32, 32, 32, 32, 32], "latent_channels": 8, "layers": 1},
    "prompts": 4,
    "group": 4,
}
MINIBATCHES = 4
CONTEXT_FRAMES = 4
ACTION_DIMS = 13


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--cases``, ``--compiled``, ``--token-budget``."""
    parser.add_argument("--cases", nargs="+", choices=("rollout", "generate", "step"), default=None)
    parser.add_argument("--compiled", action="store_true", help="compile blocks and decode step")
    parser.add_argument("--token-budget", type=int, default=60_000, help="of the update")


def cases(args: argparse.Namespace) -> Iterator[Case]:
    """Rollouts, the rollout beside ``generate``, and the whole single-step RLVR step."""
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
        rival = Contender("generate", lambda: their_work(model, shape))
        yield Case("rollout beside generate", str(shape), "tokens", ours, (rival,))
    if "step" in chosen:
        notes: dict[str, Any] = {}
        ours = Contender("RLVRWorldModel", lambda: whole_step(sizes, args, notes))
        text = f"{sizes['prompts']} prompts x {sizes['group']}, frames of {sizes['frame']}"
        yield Case("single-step RLVR step", text, "predictions", ours, (), notes)
        bare: dict[str, Any] = {}
        ours = Contender("RLVRWorldModel", lambda: bare_step(sizes, args, bare))
        text = f"{sizes['rollouts']['multi-step']}, without decoding"
        yield Case("multi-step RLVR step", text, "predictions", ours, (), bare)


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


def whole_step(sizes: dict[str, Any], args: argparse.Namespace, notes: dict[str, Any]) -> Work:
    """Sampling, decoding, LPIPS with a VGG trunk, the reference and the update."""
    torch.manual_seed(0)
    stage = yaml.safe_load(TOKENIZER.read_text())["model"]["init_args"]
    tokenizer = VQModel(**stage["model"]["init_args"] | sizes["tokenizer"])
    low, high = [0.0] * ACTION_DIMS, [1.0] * ACTION_DIMS
    codec = FrameCodec(tokenizer, sizes["frame"], low, high, CONTEXT_FRAMES)

    rewards = {"mae": MAE(), "lpips": LPIPS("st-vgg", chunk=64)}
    return step_work(codec, rewards, Clips(sizes["prompts"], sizes["frame"]), sizes, args, notes)


def bare_step(sizes: dict[str, Any], args: argparse.Namespace, notes: dict[str, Any]) -> Work:
    """Multi-step sampling, the reference and the update, with a reward that costs nothing."""
    shape = sizes["rollouts"]["multi-step"]
    codec = TemplateCodec(shape, sizes["vocabulary"]["multi-step"])
    rows = [{"row": row, "key": str(row)} for row in range(shape.prompts)]
    return step_work(codec, {"even": EvenShare()}, rows, sizes, args, notes)


def step_work(
    codec: Codec,
    rewards: dict[str, Reward],
    rows: Any,
    sizes: dict[str, Any],
    args: argparse.Namespace,
    notes: dict[str, Any],
) -> Work:
    """``fit`` for one batch of all rows; ``notes`` get the seconds of its parts."""
    folder = Path(tempfile.mkdtemp())

    def backbone(vocab_size: int) -> Transformer:
        return Transformer(vocab_size, **sizes["model"], compiled=args.compiled)

    options = {"precision": "bf16-mixed"} if args.device.type == "cuda" else {}
    model = RLVRWorldModel(
        codec=codec,
        backbone=backbone,
        rewards=rewards,
        weights=checkpoint(MLEWorldModel(codec=codec, backbone=backbone), folder, args.device),
        group_size=sizes["group"],
        num_minibatches=MINIBATCHES,
        sampler=Sampler(compiled=args.compiled),
        token_budget=args.token_budget,
    )
    loader = DataLoader(rows, batch_size=len(rows))

    def work() -> int:
        runner = trainer(folder, args.device, MINIBATCHES, **options)
        runner.fit(model, loader)
        notes.update(
            {
                f"{name.removeprefix('time/')}, s": float(seconds)
                for name, seconds in runner.logged_metrics.items()
                if name.startswith("time/")
            }
        )
        return len(rows) * sizes["group"]

    return work


class TemplateCodec(Codec):
    """Sequences of a shape, whose predictions are their tokens."""

    fingerprint = "shape"

    def __init__(self, shape: Shape, vocab_size: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.blanks = shape.template(vocab_size)

    def encode(self, batch: dict[str, Any]) -> TokenSequence:
        sequence = self.blanks.select(batch["row"].cpu())
        return TokenSequence(*(field.to(batch["row"].device) for field in sequence[:2]))

    def decode(self, sequence: TokenSequence) -> Tensor:
        return sequence.ids

    def target(self, batch: dict[str, Any]) -> Tensor:
        return batch["row"]

    copy_last = target

    def legal_tokens(self) -> Tensor:
        return torch.ones(self.vocab_size, dtype=torch.bool)


class Clips(torch.utils.data.Dataset):
    """Clips of noise with one frame to predict."""

    def __init__(self, size: int, frame: tuple[int, int]) -> None:
        self.size, self.frame = size, frame

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(index)
        shape = (CONTEXT_FRAMES + 1, 3, *self.frame)
        frames = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
        actions = torch.rand(CONTEXT_FRAMES + 1, ACTION_DIMS, generator=generator)
        return {"frames": frames, "actions": actions, "key": str(index)}
