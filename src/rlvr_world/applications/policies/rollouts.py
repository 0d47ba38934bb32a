"""What policies do in the real world, here a simulator, and in a world model."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlvr_world.applications.interactive_rollout import InteractiveRollout, video_codec
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.rl.sampler import Sampler

Act = Callable[[Tensor], Tensor]
"""Of all frames so far, uint8 [B, T, 3, H, W], the next actions [B, A]."""


class JudgedSimulator(Protocol):
    """A simulator that knows whether a task is done."""

    def begin(self, split: str, index: int) -> dict[str, Any]: ...
    def step(self, action: NDArray[np.float32]) -> None: ...
    def frame(self) -> NDArray[np.uint8]: ...
    @property
    def success(self) -> bool: ...


class Film(NamedTuple):
    """B rollouts of T actions: ``frames`` uint8 [B, T + 1, 3, H, W] and ``actions`` [B, T, A].

    ``success`` [B, T + 1] bool is the simulator's judgement at each frame; in a world model, where
    nobody knows, it is None.
    """

    frames: Tensor
    actions: Tensor
    success: Tensor | None = None


def real_film(
    simulator: JudgedSimulator, split: str, starts: Sequence[int], act: Act, steps: int
) -> Film:
    """What happens in the simulator, from episodes with the given indices of a split."""
    films = []
    for index in starts:
        simulator.begin(split, index)
        frames, actions, success = [picture(simulator)], [], [simulator.success]
        for _ in range(steps):
            actions.append(act(torch.stack(frames)[None])[0])
            simulator.step(actions[-1].numpy())
            frames.append(picture(simulator))
            success.append(simulator.success)
        films.append((torch.stack(frames), torch.stack(actions), torch.tensor(success)))
    return Film(*(torch.stack(parts) for parts in zip(*films, strict=True)))


def picture(simulator: JudgedSimulator) -> Tensor:
    """The present frame, uint8 [3, H, W]."""
    return torch.from_numpy(simulator.frame().copy()).permute(2, 0, 1)


def outcomes(
    simulator: JudgedSimulator, split: str, starts: Sequence[int], actions: Tensor
) -> Tensor:
    """Whether the simulator says success at the end of actions [B, T, A], [B] bool."""
    ends = []
    for index, row in zip(starts, actions.numpy(), strict=True):
        simulator.begin(split, index)
        for action in row:
            simulator.step(action)
        ends.append(simulator.success)
    return torch.tensor(ends)


def imagined_film(
    model: WorldModel,
    first: Tensor,
    act: Act,
    steps: int,
    horizon: int = 1,
    sampler: Sampler | None = None,
    seed: int = 0,
) -> Film:
    """What a world model predicts that happens from first frames, uint8 [B, 3, H, W].

    Where a model is given more than one frame, the first one stands for those before it, with
    actions of 0 between them.
    """
    rollout = InteractiveRollout(model, at_rest(model, first), horizon, sampler)
    rngs = [np.random.default_rng([seed, row]) for row in range(len(first))]
    frames, actions = [first], []
    for _ in range(steps):
        actions.append(act(torch.stack(frames, dim=1)))
        uniforms = np.stack([rng.random(rollout.codec.tokens_per_frame) for rng in rngs])
        given = actions[-1].to(model.device)
        predicted = rollout.step(given, torch.as_tensor(uniforms).to(model.device))
        frames.append((predicted.clamp(0, 1) * 255).round().byte().cpu())
    return Film(torch.stack(frames, dim=1), torch.stack(actions, dim=1))


def at_rest(model: WorldModel, first: Tensor, *later: Tensor) -> dict[str, Any]:
    """A batch with first frames [B, 3, H, W] as all given ones, and frames that come later."""
    codec = video_codec(model)
    frames = torch.stack([first] * codec.window + list(later), dim=1).to(model.device)
    actions = torch.zeros(*frames.shape[:2], len(codec.action_low), device=model.device)
    return {
        "frames": frames,
        "context": frames[:, 0],
        "actions": actions,
        "key": [f"start {row}" for row in range(len(first))],
    }


@torch.no_grad()
def reconstructed(model: WorldModel, first: Tensor, last: Tensor) -> Tensor:
    """Last frames uint8 [B, 3, H, W] as the model's tokens hold them."""
    codec = video_codec(model)
    decoded = codec.decode(codec.encode(at_rest(model, first, last)))[:, -1]
    return (decoded.clamp(0, 1) * 255).round().byte().cpu()
