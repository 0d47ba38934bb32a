"""Steps per second of a world model as an environment, beside its alternatives.

Those are reading the whole prompt for each step, over a window and at its last step alone, and the
real simulator, one process of it, with its picture. Models have random weights at the sizes of the
multi-step presets: frames of 64 tokens each (PushT's network), or a context frame of 64 tokens and
frames of 16 (Meta-World's).
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.harness import Case, Contender, Unavailable, Work
from rlvr_world.applications.interactive_rollout import InteractiveRollout
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.nn.attention import SamplingCache
from rlvr_world.nn.transformer import Transformer
from rlvr_world.types import Batch
from rlvr_world.video.codecs.context import ContextVideoCodec
from rlvr_world.video.codecs.frame import FrameCodec
from rlvr_world.video.tokenizer.compressive import CompressiveVQModel
from rlvr_world.video.tokenizer.vq_model import VQModel

BATCHES = (1, 16, 256)
FULL = {
    "frame": 64,
    "steps": 7,
    "model": {"dim": 128, "depth": 4, "heads": 2, "hidden": 344},
    "compressive": {"dim": 256, "depth": 6, "heads": 4, "hidden": 688},
}
TINY = {
    "frame": 32,
    "steps": 3,
    "model": {"dim": 16, "depth": 1, "heads": 2},
    "compressive": {"dim": 16, "depth": 1, "heads": 2},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--batches``."""
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES, help="rows at once")


def cases(args: argparse.Namespace) -> Iterator[Case]:
    """A window of steps, and its last one, at each batch size."""
    sizes = TINY if args.scale == "tiny" else FULL
    size, steps = [sizes["frame"]] * 2, sizes["steps"]
    torch.manual_seed(0)
    actions = {"action_low": [96, 96], "action_high": [416, 416]}
    small = {"channels": (8,), "levels": (8, 5, 5, 5), "latent_channels": 8, "layers": 1}
    plain = FrameCodec(VQModel(**small, stem=8), frame_size=size, context_frames=1, **actions)
    few = CompressiveVQModel(
        size, **small, context_levels=(8, 5, 5, 5), patch_size=2, stem=8, attention_height=8
    )
    codecs = {"model": plain, "compressive": ContextVideoCodec(few, **actions)}
    for network, codec in codecs.items():
        transformer = partial(Transformer, **sizes[network])
        model = WorldModel(codec, transformer).to(args.device).eval()
        for batch in args.batches:
            yield case(model, batch, steps)
            yield last_case(model, batch, steps)


def case(model: WorldModel, batch: int, steps: int) -> Case:
    """Steps to the end of a window."""
    rivals = [Contender("whole prompt each step", lambda: walk(model, batch, steps, keep=False))]
    if model.codec.frame_size == (64, 64):
        rivals.append(Contender("simulator", lambda: simulated(batch * steps), ("gym_pusht",)))
    tokens = model.codec.tokens_per_frame
    return Case(
        f"batch {batch}, {tokens} tokens",
        f"{batch} rows x {steps} steps, {tokens} tokens a frame",
        "steps",
        Contender("keys and values kept", lambda: walk(model, batch, steps, keep=True)),
        tuple(rivals),
    )


def last_case(model: WorldModel, batch: int, steps: int) -> Case:
    """The last step of a window alone."""
    tokens = model.codec.tokens_per_frame
    rival = Contender("whole prompt each step", lambda: last_step(model, batch, steps, keep=False))
    return Case(
        f"batch {batch}, {tokens} tokens, last step",
        f"{batch} rows x step {steps}, {tokens} tokens a frame",
        "steps",
        Contender("keys and values kept", lambda: last_step(model, batch, steps, keep=True)),
        (rival,),
    )


def begun(
    model: WorldModel, batch: int, steps: int
) -> tuple[Callable[[], InteractiveRollout], Tensor, Tensor]:
    """What makes rollouts of a batch, and the actions and random numbers of one step."""
    size, device = model.codec.frame_size, model.device
    frames = torch.randint(256, (batch, 1, 3, *size), dtype=torch.uint8, device=device)
    start: Batch = {
        "frames": frames,
        "context": frames[:, 0],
        "actions": torch.zeros(batch, 1, 2, device=device),
        "key": [""] * batch,
    }
    shape = (batch, model.codec.tokens_per_frame)
    uniforms = torch.rand(shape, dtype=torch.float64, device=device)
    actions = torch.full((batch, 2), 250.0, device=device)
    return lambda: InteractiveRollout(model, start, horizon=steps), actions, uniforms


def walk(model: WorldModel, batch: int, steps: int, keep: bool) -> Work:
    """Steps of a batch within a window, with or without what is remembered."""
    begin, actions, uniforms = begun(model, batch, steps)

    def work() -> int:
        rollout = begin()
        for _ in range(steps):
            rollout.step(actions, uniforms)
            if not keep:
                rollout.cache = None
        return batch * steps

    return work


def last_step(model: WorldModel, batch: int, steps: int, keep: bool) -> Work:
    """The last step of a window, again and again from where the step before it ended."""
    begin, actions, uniforms = begun(model, batch, steps)
    rollout = begin()
    for _ in range(steps - 1):
        rollout.step(actions, uniforms)
    before, cache = (rollout.frames, rollout.actions, rollout.unread), rollout.cache
    assert isinstance(cache, SamplingCache)
    length = cache.length

    def work() -> int:
        rollout.frames, rollout.actions, rollout.unread = before
        cache.length = length
        rollout.cache = cache if keep else None
        rollout.step(actions, uniforms)
        return batch

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
