"""Steps per second of a world model as an environment, beside its alternatives.

Those are reading the whole prompt for each step, and the real simulator, one process of it, with
its picture. The model has random weights at the sizes of the multi-step preset of PushT.
"""

import argparse
from collections.abc import Iterator

import torch

from benchmarks.harness import Case, Contender, Unavailable, Work
from rlvr_world.applications.interactive_rollout import InteractiveRollout
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.types import Batch
from rlvr_world.video.codecs.frame import FrameCodec
from rlvr_world.video.tokenizer.vq_model import VQModel

BATCHES = (1, 16, 256)
FULL = {"frame": 64, "steps": 7, "model": {"dim": 128, "depth": 4, "heads": 2, "hidden": 344}}
TINY = {"frame": 16, "steps": 3, "model": {"dim": 16, "depth": 1, "heads": 2}}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--batches``."""
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES, help="rows at once")


def cases(args: argparse.Namespace) -> Iterator[Case]:
    """A window of steps at each batch size."""
    sizes = TINY if args.scale == "tiny" else FULL
    torch.manual_seed(0)
    codec = FrameCodec(
        VQModel(channels=(8,), levels=(8, 5, 5, 5), latent_channels=8, layers=1, stem=8),
        frame_size=[sizes["frame"]] * 2,
        context_frames=1,
        action_low=[96, 96],
        action_high=[416, 416],
    )
    model = WorldModel(codec, lambda size: Transformer(size, **sizes["model"]))
    model = model.to(args.device).eval()
    for batch in args.batches:
        yield case(model, batch, sizes["steps"])


def case(model: WorldModel, batch: int, steps: int) -> Case:
    """Steps to the end of a window."""
    rivals = [Contender("whole prompt each step", lambda: walk(model, batch, steps, keep=False))]
    if model.codec.frame_size == (64, 64):
        rivals.append(Contender("simulator", lambda: simulated(batch * steps), ("gym_pusht",)))
    return Case(
        f"batch {batch}",
        f"{batch} rows x {steps} steps, {model.codec.tokens_per_frame} tokens a frame",
        "steps",
        Contender("keys and values kept", lambda: walk(model, batch, steps, keep=True)),
        tuple(rivals),
    )


def walk(model: WorldModel, batch: int, steps: int, keep: bool) -> Work:
    """Steps of a batch within a window, with or without what is remembered."""
    size, device = model.codec.frame_size, model.device
    start: Batch = {
        "frames": torch.randint(256, (batch, 1, 3, *size), dtype=torch.uint8, device=device),
        "actions": torch.zeros(batch, 1, 2, device=device),
        "key": [""] * batch,
    }
    actions = torch.full((batch, 2), 250.0, device=device)
    shape = (batch, model.codec.tokens_per_frame)
    uniforms = torch.rand(shape, dtype=torch.float64, device=device)

    def work() -> int:
        rollout = InteractiveRollout(model, start, horizon=steps)
        for _ in range(steps):
            rollout.step(actions, uniforms)
            if not keep:
                rollout.cache = None
        return batch * steps

    return work


def simulated(steps: int) -> Work:
    """Frames of PushT, each two steps of the simulator and its picture."""
    from rlvr_world.video.sources.pusht import PushTRecorder

    simulator = PushTRecorder("unused").simulator
    try:
        simulator.begin("test", 0)
    except ImportError as error:
        raise Unavailable(str(error)) from error
    action = simulator.policy()

    def work() -> int:
        for _ in range(steps):
            simulator.step(action)
            simulator.frame()
        return steps

    return work
