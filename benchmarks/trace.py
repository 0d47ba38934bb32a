"""Where the time of a rollout and of an update goes: Chrome traces, and the slowest operations.

Open a trace in ``chrome://tracing`` or https://ui.perfetto.dev. A single-step rollout and update at
the paper's sizes, of a few prompts only, since a trace holds every kernel.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.autograd.profiler_util import FunctionEventAvg
from torch.profiler import ProfilerActivity, profile

from benchmarks import paper
from benchmarks.harness import Work, describe
from benchmarks.problem import Problem
from benchmarks.rollout import Shape, our_work
from benchmarks.step import update
from rlvr_world.files import write_json
from rlvr_world.rl.sampler import Sampler

SLOWEST = 15
PROMPTS = 8


def main(arguments: Sequence[str]) -> None:
    """Write ``rollout.json`` and ``update.json``, traces, and ``slowest.json``, seconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks trace", description=__doc__)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("output", type=Path, help="folder of the traces")
    parser.add_argument("--scale", choices=("tiny", "full"), default="full")
    parser.add_argument("--device", type=torch.device, default=torch.device(device))
    args = parser.parse_args(arguments)
    args.compiled = False
    args.output.mkdir(parents=True, exist_ok=True)
    found = {name: traced(work, args, name) for name, work in works(args).items()}
    write_json(args.output / "slowest.json", {"device": describe(args.device), **found})


def works(args: argparse.Namespace) -> dict[str, Work]:
    """A rollout, and the forward and backward pass of an update."""
    sizes = paper.TINY if args.scale == "tiny" else paper.FULL
    whole: Shape = sizes["rollouts"]["single-step"]
    shape = Shape(
        min(PROMPTS, whole.prompts), whole.shortest, whole.longest, whole.group, whole.new
    )
    vocabulary = sizes["vocabulary"]["single-step"]
    problem = Problem(
        vocabulary, **sizes["model"], prompts=1, length=shape.longest, group=shape.group,
        new=shape.new, minibatches=1,
    )  # fmt: skip
    model = paper.transformer(sizes, "single-step", args)
    return {
        "rollout": our_work(model, shape, Sampler()),
        "update": mixed(update(problem, args.device, shared=True), args.device),
    }


def mixed(work: Work, device: torch.device) -> Work:
    """The work as training runs it: in bfloat16 on a GPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")(work)


def traced(work: Work, args: argparse.Namespace, name: str) -> dict[str, float]:
    """The seconds of the slowest operations of one run, after an unmeasured one."""
    work()
    on_gpu = args.device.type == "cuda"
    kinds = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * on_gpu]
    with profile(activities=kinds) as profiler:
        work()
        if on_gpu:
            torch.cuda.synchronize(args.device)
    profiler.export_chrome_trace(str(args.output / f"{name}.json"))
    seconds = partial(own_seconds, on_gpu=on_gpu)
    events: list[Any] = sorted(profiler.key_averages(), key=seconds, reverse=True)[:SLOWEST]
    return {event.key: seconds(event) for event in events}


def own_seconds(event: FunctionEventAvg, on_gpu: bool) -> float:
    """Time within the operation itself, on the GPU if there is one."""
    own = event.self_device_time_total if on_gpu else event.self_cpu_time_total
    return float(own) / 1e6
