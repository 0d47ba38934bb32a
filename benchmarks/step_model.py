"""A model of the time and the memory of one RLVR step: bytes, operations and a fixed cost.

Seconds are ``bytes / bandwidth + operations / arithmetic + layer calls * layer_call``, where each
token of a rollout calls each layer once. Weights, keys and activations are counted by shape; the
three constants of a device are fitted to measured steps.
"""

from dataclasses import dataclass, replace

import torch

from benchmarks.rollout import Shape

LOGIT_BYTES = 56
"""Read and written for each logit of a drawn token: log-softmax, and a sum in float64."""

SCORE_PASSES = 8
"""How often the scores of a token's attention are written or read."""

TRAFFIC = {"forward": 2, "backward": 4}
"""How often a pass moves the activations that a backward pass needs."""


@dataclass(frozen=True)
class Network:
    """Sizes of a ``Transformer``; ``itemsize`` are the bytes of a weight as it is computed with."""

    vocab_size: int
    dim: int
    depth: int
    heads: int
    hidden: int
    itemsize: int = 4

    @property
    def layer_weights(self) -> int:
        """Weights that each token is multiplied with, but for the head's."""
        return self.depth * (4 * self.dim**2 + 3 * self.dim * self.hidden)

    @property
    def weights(self) -> int:
        """All of them, with the tables of inputs and outputs."""
        return self.layer_weights + 2 * self.vocab_size * self.dim


@dataclass(frozen=True)
class Cost:
    """What a piece of work takes of any device."""

    bytes: float = 0.0
    operations: float = 0.0
    layer_calls: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*(a + b for a, b in zip(self.terms, other.terms, strict=True)))

    def __mul__(self, factor: float) -> "Cost":
        return Cost(*(factor * term for term in self.terms))

    @property
    def terms(self) -> tuple[float, float, float]:
        """Bytes, operations and layer calls."""
        return self.bytes, self.operations, self.layer_calls


@dataclass(frozen=True)
class Device:
    """Bytes and operations per second, and seconds that a layer of a token step costs at least."""

    bandwidth: float
    arithmetic: float
    layer_call: float

    def seconds(self, cost: Cost) -> float:
        """The time of some work."""
        moved, computed = cost.bytes / self.bandwidth, cost.operations / self.arithmetic
        return moved + computed + cost.layer_calls * self.layer_call


def cache(net: Network, shape: Shape) -> float:
    """Bytes of keys and values: each prompt once, and what each member adds."""
    positions = shape.prompts * (shape.longest + shape.group * shape.own)
    return 2 * net.depth * net.dim * net.itemsize * positions


def activations(net: Network, shape: Shape) -> float:
    """Bytes that an update of all rows keeps for its backward pass.

    In each layer of each token inputs and outputs of norms, products and attention; for each
    member keys and values of its whole sequence, the prompt's as a copy of its own; and the
    log-probabilities of all tokens at each own position, in float32.
    """
    rows = shape.prompts * shape.group
    own = rows * shape.own
    tokens = shape.prompts * shape.longest + own
    copied = 2 * rows * (shape.longest + shape.own) * net.dim
    layer = tokens * (10 * net.dim + 4 * net.hidden) + copied
    return (net.depth * layer + 2 * tokens * net.dim) * net.itemsize + 4 * own * net.vocab_size


def memory(net: Network, shape: Shape, parts: int = 1) -> dict[str, float]:
    """Bytes of a step in training with AdamW, weights and its moments in float32.

    ``parts`` is the number of parts that an update passes through the network one by one.
    """
    return {
        "weights, gradients, moments": 16 * net.weights,
        "reference": 4 * net.weights,
        "KV cache": cache(net, shape),
        "activations": activations(net, shape) / parts,
    }


def forward(net: Network, shape: Shape) -> Cost:
    """One pass over prompts and members, each prompt once, logits at own positions only."""
    own = shape.prompts * shape.group * shape.own
    tokens = shape.prompts * shape.longest + own
    seen = shape.prompts * shape.longest**2 / 2 + own * (shape.longest + shape.own / 2)
    products = 2 * net.layer_weights * tokens + 2 * net.vocab_size * net.dim * own
    operations = products + 4 * net.dim * net.depth * seen
    return Cost(TRAFFIC["forward"] * activations(net, shape), operations)


def update(net: Network, shape: Shape) -> Cost:
    """The reference's pass, the policy's, and its backward pass of twice the operations."""
    one = forward(net, shape)
    backward = Cost(TRAFFIC["backward"] * activations(net, shape), 2 * one.operations)
    return one * 2 + backward


def rollout(net: Network, shape: Shape, static: bool = False) -> Cost:
    """Reading the prompts, then one token of each member after the other.

    With ``static``, as on a GPU, each token looks at all places that its row will ever fill.
    """
    none = replace(shape, group=0, new=0, given=0, rounds=1)
    step = token_step(net, shape, shape.own if static else shape.own / 2)
    return forward(net, none) + step * (shape.new * shape.rounds)


def token_step(net: Network, shape: Shape, own: float) -> Cost:
    """One more token of each member, each of which looks at ``own`` places beside its prompt."""
    rows = shape.prompts * shape.group
    keys = 2 * net.depth * net.dim * (shape.prompts * shape.longest + rows * own)
    scores = SCORE_PASSES * rows * net.depth * net.heads * (shape.longest + own)
    inputs = TRAFFIC["forward"] * rows * net.depth * (10 * net.dim + 4 * net.hidden)
    weights = net.weights - net.vocab_size * net.dim
    attention = 4 * net.dim * net.depth * (shape.longest + own)
    return Cost(
        bytes=net.itemsize * (weights + keys + scores + inputs)
        + LOGIT_BYTES * rows * net.vocab_size,
        operations=rows * (2 * weights + attention),
        layer_calls=net.depth + 1,
    )


def fitted(costs: list[Cost], seconds: list[float]) -> Device:
    """The device whose relative errors are smallest by their squares.

    Raises:
        ValueError: If a constant comes out negative: the points do not tell them apart.
    """
    terms = torch.tensor([cost.terms for cost in costs], dtype=torch.float64)
    relative = terms / torch.tensor(seconds, dtype=torch.float64)[:, None]
    scale = relative.norm(dim=0)
    found = torch.linalg.lstsq(relative / scale, torch.ones(len(costs), 1, dtype=torch.float64))
    per_byte, per_operation, per_call = (found.solution[:, 0] / scale).tolist()
    if min(per_byte, per_operation, per_call) <= 0:
        raise ValueError(f"the points do not tell the constants apart: {found.solution[:, 0]}")
    return Device(1 / per_byte, 1 / per_operation, per_call)


@dataclass(frozen=True)
class Fleet:
    """GPUs that share the prompts of a step; ``link`` are bytes per second between any two."""

    gpus: int
    device: Device
    link: float

    def step(
        self, net: Network, shape: Shape, pixels: float, minibatches: int = 4
    ) -> dict[str, float]:
        """Seconds of the parts of a step, where ``pixels`` is the work to decode and score a row.

        Gradients, in float32, are exchanged once for each minibatch.
        """
        share = split(shape, self.gpus)
        rows = share.prompts * share.group
        exchanged = 0 if self.gpus == 1 else 8 * net.weights / self.link
        optimizer = Cost(bytes=28 * net.weights)
        return {
            "rollout": self.device.seconds(rollout(net, share, static=True)),
            "decode and reward": rows * pixels / self.device.arithmetic,
            "update": self.device.seconds(update(net, share) + optimizer * minibatches),
            "gradients over the link": minibatches * exchanged,
        }

    def fixed(self, net: Network, shape: Shape) -> float:
        """Seconds of a rollout that no further GPU takes away: weights and layer calls."""
        steps, read = shape.new * shape.rounds, net.weights - net.vocab_size * net.dim
        step = Cost(bytes=net.itemsize * read, layer_calls=net.depth + 1)
        return self.device.seconds(step * steps)


def split(shape: Shape, gpus: int) -> Shape:
    """What one GPU samples."""
    if shape.prompts % gpus:
        raise ValueError(f"{shape.prompts} prompts cannot be shared by {gpus} GPUs")
    return replace(shape, prompts=shape.prompts // gpus)
