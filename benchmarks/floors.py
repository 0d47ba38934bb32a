"""What the device could do at best: memory bandwidth for decoding, arithmetic for the update."""

import time

import torch

from benchmarks.rollout import Shape, cache_bytes
from rlvr_world.nn.transformer import Transformer

COPIED_BYTES = {"cuda": 2**30, "cpu": 2**26}
MATRIX = {"cuda": 8192, "cpu": 1024}
REPEATS = 5


def bandwidth(device: torch.device) -> float:
    """Bytes per second that a copy reads and writes, the best of a few."""
    source = torch.empty(COPIED_BYTES[device.type], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * source.numel() / best_seconds(lambda: target.copy_(source), device)


def arithmetic(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second of a large matrix product, the best of a few."""
    side = MATRIX[device.type]
    left = torch.randn(side, side, device=device, dtype=dtype)
    return 2 * side**3 / best_seconds(lambda: left @ left, device)


def best_seconds(work: object, device: torch.device) -> float:
    """The shortest of a few runs."""
    found = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - start)
    return min(found)


def decode_bytes(model: Transformer, shape: Shape, weight_bytes: int) -> float:
    """Bytes that decoding must read: each step all weights, all prompts and half of the rest.

    Args:
        model: The model.
        shape: The rollout.
        weight_bytes: Bytes of a weight, and of a key or value, as they are computed with.
    """
    weights = sum(parameter.numel() for parameter in model.parameters()) * weight_bytes
    scale = weight_bytes / model.embedding.weight.itemsize
    whole = cache_bytes(model, shape) * scale
    own = shape.prompts * shape.group * shape.own
    share = own / (shape.prompts * shape.longest + own)
    return shape.new * shape.rounds * (weights + whole * (1 - share / 2))


def update_operations(model: Transformer, shape: Shape) -> float:
    """Operations of the reference's pass and of the update, with each prompt computed once."""
    weights = sum(p.numel() for p in model.parameters()) - model.embedding.weight.numel()
    own = shape.prompts * shape.group * shape.own
    tokens = shape.prompts * shape.longest + own
    width, depth = model.embedding.embedding_dim, len(model.blocks)
    seen = shape.prompts * shape.longest**2 / 2 + own * (shape.longest + shape.own / 2)
    forward = 2 * weights * tokens + 4 * width * depth * seen
    return 4 * forward
