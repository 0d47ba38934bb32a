"""One step of decoding, which a rollout repeats for each position: a forward pass, then a draw."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from rlvr_world.nn.sequence_model import Cache, SequenceModel

DecodeStep = Callable[[Tensor], Tensor]
"""Logits [N, V] after one more token of each row, [N, 1]."""

WARM_UPS = 2


def decode_step(model: SequenceModel, cache: Cache, compiled: bool) -> DecodeStep:
    """The step of a model with a cache, compiled if asked for, recorded where there is a GPU.

    The cache must be static to be compiled or recorded. The first call of a compiled step takes a
    while.
    """
    static = isinstance(cache.length, Tensor)
    if compiled and not static:
        raise ValueError(
            f"sampler: compiled needs a static cache, which {type(model).__name__} does not have; "
            "leave it false"
        )
    forward = torch.compile(next_logits, dynamic=False) if compiled else next_logits
    step = partial(forward, model, cache)
    return RecordedStep(step, cache) if static and cache.length.is_cuda else step


def next_logits(model: SequenceModel, cache: Cache, ids: Tensor) -> Tensor:
    """Logits [N, V] of what follows ids [N, T], which follow what ``cache`` remembers."""
    return model.logits(model(ids, cache)[:, -1])


class RecordedStep:
    """A step with a cache that a CUDA graph replays, so that it costs one launch."""

    def __init__(self, step: DecodeStep, cache: Cache) -> None:
        self.step = step
        self.cache = cache
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, ids: Tensor) -> Tensor:
        graph = self.graph or self.record(ids)
        self.ids.copy_(ids)
        graph.replay()
        return self.logits

    def record(self, ids: Tensor) -> torch.cuda.CUDAGraph:
        """Try the step out on a side stream, as a recording needs it, then record it."""
        self.ids = ids.clone()
        position = self.cache.length.clone()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self.step(self.ids)
                self.cache.length.copy_(position)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.logits = self.step(self.ids)
        return self.graph


def draw(probs: Tensor, uniforms: Tensor) -> Tensor:
    """One token per row by inverting the cumulated ``probs`` [N, V], which need not add up to 1.

    ``uniforms`` are random numbers in [0, 1), [N] float64. One for each row is all it takes, and
    the same number gives the same token in a batch of any size.
    """
    mass = probs.double().cumsum(-1)
    threshold = uniforms[:, None] * mass[:, -1:]
    tokens = torch.searchsorted(mass, threshold, right=True).squeeze(1)
    return tokens.clamp(max=probs.shape[-1] - 1)


def truncate(probs: Tensor, top_k: int | None, top_p: float | None) -> Tensor:
    """Zero the tokens outside the k most likely and outside the nucleus of mass p, [N, V]."""
    if top_k is not None and top_k < probs.shape[-1]:
        threshold = probs.topk(top_k, dim=-1).values[..., -1:]
        probs = probs.where(probs >= threshold, 0.0)
    if top_p is not None and top_p < 1:
        ordered, order = (probs / probs.sum(-1, keepdim=True)).sort(dim=-1, descending=True)
        outside = (ordered.cumsum(-1) - ordered) >= top_p
        probs = probs.masked_fill(outside.gather(-1, order.argsort(-1)), 0.0)
    return probs
