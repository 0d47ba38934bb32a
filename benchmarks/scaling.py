"""The model of a step beside measured steps, and what it says of many GPUs.

Steps are measured on the CPU in processor time of one thread, so that other processes disturb them
less. Constants are fitted to some points and checked on others.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks import paper
from benchmarks.gpu_page import table
from benchmarks.harness import Work
from benchmarks.report import number
from benchmarks.rollout import Shape, our_work
from benchmarks.step import member_log_probs
from benchmarks.step_model import (
    Device,
    Fleet,
    Network,
    activations,
    fitted,
    memory,
    rollout,
    update,
)
from rlvr_world.files import write_json
from rlvr_world.nn.transformer import Transformer
from rlvr_world.rl.sampler import Sampler

BASE = {"vocab_size": 512, "dim": 128, "depth": 2, "heads": 4, "hidden": 344,
        "prompts": 8, "length": 96, "group": 8, "new": 32}  # fmt: skip
FIT: list[dict[str, int]] = [
    {}, {"length": 256}, {"new": 96}, {"depth": 6}, {"prompts": 2, "group": 2},
    {"dim": 256, "hidden": 688}, {"prompts": 16, "group": 16},
]  # fmt: skip
CHECK: list[dict[str, int]] = [
    {"group": 16}, {"group": 4}, {"length": 160}, {"length": 384}, {"new": 16}, {"new": 64},
    {"depth": 4}, {"depth": 8}, {"prompts": 16}, {"dim": 192, "hidden": 512, "depth": 3},
    {"prompts": 4, "length": 272, "group": 16, "new": 64, "depth": 4},
    {"prompts": 4, "group": 32}, {"length": 200, "new": 48, "depth": 3},
    {"dim": 256, "hidden": 688, "length": 160, "group": 4}, {"prompts": 12, "new": 24, "depth": 5},
]  # fmt: skip
"""Changes of ``BASE``."""

ASSUMED = Device(bandwidth=2.5e12, arithmetic=3e14, layer_call=30e-6)
"""A GPU of the H100's kind as a guess: 3/4 of its bandwidth, 1/3 of its bfloat16 arithmetic."""
LINKS = {1: 3e11, 8: 3e11, 64: 4e10}
"""Bytes per second by number of GPUs: within a machine, and between machines."""
TOKEN_BUDGET = 60_000
DECODE_AND_REWARD = {"single-step": 1.01e11 + 5.0e10, "multi-step": 4.63e12 + 7 * 5.0e10}
"""Operations for each predicted clip, counted by ``FlopCounterMode`` at 256 x 320."""


class Measured(NamedTuple):
    """Processor seconds of the two parts of a step, and bytes kept for the backward pass."""

    rollout: float
    update: float
    kept: int


def main(arguments: Sequence[str]) -> None:
    """Print the checks and the predictions as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks scaling", description=__doc__)
    parser.add_argument(
        "--repeats", type=int, default=3, help="rounds; each point's fastest counts"
    )
    parser.add_argument("--predict", action="store_true", help="measure nothing")
    parser.add_argument("--json", type=Path, help="also write what was measured")
    args = parser.parse_args(arguments)
    if not args.predict:
        torch.set_num_threads(1)
        points = [BASE | change for change in FIT + CHECK]
        found = measured([sizes(point) for point in points], args.repeats)
        print("\n".join(check(points, found)))
        if args.json is not None:
            write_json(args.json, [p | m._asdict() for p, m in zip(points, found, strict=True)])
    print("\n".join(predictions()))


def sizes(point: dict[str, int]) -> tuple[Network, Shape]:
    """Network and rollout of a point."""
    net = Network(*(point[name] for name in ("vocab_size", "dim", "depth", "heads", "hidden")))
    return net, Shape(
        point["prompts"], point["length"], point["length"], point["group"], point["new"]
    )


def measured(points: Sequence[tuple[Network, Shape]], repeats: int) -> list[Measured]:
    """All points in turn, in rounds after an unmeasured one."""
    prepared = [parts_of(net, shape) for net, shape in points]
    rounds = [[[processor_seconds(work) for work in works] for *works, _ in prepared]
              for _ in range(repeats + 1)]  # fmt: skip
    fastest = torch.tensor(rounds[1:]).amin(dim=0).tolist()
    return [Measured(*times, kept) for times, (*_, kept) in zip(fastest, prepared, strict=True)]


def parts_of(net: Network, shape: Shape) -> tuple[Work, Work, int]:
    """A rollout; the reference's pass and an update; the bytes that the latter keeps."""
    torch.manual_seed(0)
    arguments = {"dim": net.dim, "depth": net.depth, "heads": net.heads, "hidden": net.hidden}
    model = Transformer(net.vocab_size, **arguments).eval()
    prompts = shape.template(net.vocab_size).ids[:, : shape.longest]
    own = torch.randint(net.vocab_size, (shape.prompts * shape.group, shape.new))

    def work() -> int:
        with torch.no_grad():
            member_log_probs(model, prompts, own, shared=True)
        model.zero_grad()
        member_log_probs(model, prompts, own, shared=True).mean().backward()
        return own.numel()

    return our_work(model, shape, Sampler()), work, kept(model, prompts, own)


def processor_seconds(work: Work) -> float:
    """The time of one run."""
    start = time.process_time()
    work()
    return time.process_time() - start


def kept(model: Transformer, prompts: Tensor, own: Tensor) -> int:
    """Bytes that a forward pass keeps for the backward pass, beside weights."""
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        log_probs = member_log_probs(model, prompts, own, shared=True)
    del log_probs
    return sum(found.values())


def check(points: list[dict[str, int]], found: list[Measured]) -> list[str]:
    """The model, fitted to the first points, beside all of them."""
    costs = [cost(*sizes(p)) for p in points[: len(FIT)] for cost in (rollout, update)]
    device = fitted(costs, [seconds for m in found[: len(FIT)] for seconds in m[:2]])
    base, errors = points[0], []
    rows = [["point", "step, model", "measured", "off", "kept for backward, MiB", "off"]]
    for place, (point, real) in enumerate(zip(points, found, strict=True)):
        net, shape = sizes(point)
        seconds = device.seconds(rollout(net, shape) + update(net, shape))
        off = seconds / (real.rollout + real.update) - 1
        room = activations(net, shape) / real.kept - 1
        errors += [(abs(off), abs(room))] * (place >= len(FIT))
        text = ", ".join(f"{k} {v}" for k, v in point.items() if v != base[k]) or "base"
        rows.append([
            text + " (fitted)" * (place < len(FIT)), number(seconds),
            number(real.rollout + real.update), f"{off:+.0%}", number(real.kept / 2**20),
            f"{room:+.1%}",
        ])  # fmt: skip
    times, rooms = zip(*errors, strict=True)
    said = (
        f"Of {len(errors)} points that were not fitted, time is off by {median(times):.0%} in the "
        f"median and {max(times):.0%} at most, memory by {max(rooms):.1%} at most. Constants: "
        f"{device.bandwidth:.2g} bytes/s, {device.arithmetic:.2g} operations/s, "
        f"{1e6 * device.layer_call:.0f} microseconds for a layer of a token step."
    )
    return [said, "", *table(rows)]


def predictions() -> list[str]:
    """Steps and memory at the paper's sizes on GPUs that no one has measured."""
    parts = [*steps_of("single-step", 1)]
    rows = [
        ["step", "GPUs", *parts, "in all", "rollout that stays", "half as server", "overlapped"]
    ]
    for name in DECODE_AND_REWARD:
        for gpus in LINKS:
            seconds = steps_of(name, gpus)
            shown = [*seconds.values(), sum(seconds.values()), fixed_of(name, gpus)]
            apart = server_of(name, gpus) if gpus > 1 else ()
            cells = [number(value) for value in (*shown, *apart)]
            rows.append([name, str(gpus), *cells, *["-"] * (2 if gpus == 1 else 0)])
    return table(rows) + memory_table()


def memory_table() -> list[str]:
    """GiB of a step on one GPU, its update in parts of so many tokens."""
    rows = [["step", *memory(*fleet_of("single-step", 1)[1:])]]
    for name in DECODE_AND_REWARD:
        _, net, shape = fleet_of(name, 1)
        tokens = shape.prompts * (shape.longest + shape.group * shape.own)
        held = memory(net, shape, -(-tokens // TOKEN_BUDGET))
        rows.append([name, *(number(size / 2**30) for size in held.values())])
    return table(rows)


def server_of(name: str, gpus: int) -> tuple[float, float]:
    """Seconds of a step where half of the GPUs sample and half train.

    First as this package does it, one after the other; then with rollouts a step behind.
    """
    fleet, net, _ = fleet_of(name, gpus)
    seconds = steps_of(name, gpus // 2)
    sent = net.itemsize * net.weights / fleet.link
    rest = sum(seconds.values()) - seconds["rollout"] + sent
    return seconds["rollout"] + rest, max(seconds["rollout"], rest)


def fleet_of(name: str, gpus: int) -> tuple[Fleet, Network, Shape]:
    """GPUs, and the paper's network and rollout in bfloat16."""
    link = LINKS[min(size for size in LINKS if size >= gpus)]
    net = Network(paper.FULL["vocabulary"][name], **paper.FULL["model"], itemsize=2)
    return Fleet(gpus, ASSUMED, link), net, paper.FULL["rollouts"][name]


def steps_of(name: str, gpus: int) -> dict[str, float]:
    """Seconds of the parts of a step."""
    fleet, net, shape = fleet_of(name, gpus)
    return fleet.step(net, shape, DECODE_AND_REWARD[name])


def fixed_of(name: str, gpus: int) -> float:
    """Seconds of a rollout that more GPUs do not shorten."""
    fleet, net, shape = fleet_of(name, gpus)
    return fleet.fixed(net, shape)
