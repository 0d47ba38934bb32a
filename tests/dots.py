"""A world of dots: a red one and a green one on black; the state is where they are, in pixels."""

import torch
from torch import Tensor

from rlvr_world.video.scenes.state_probe import StateProbe

SIZE = 32
PARTS = {"red": [0, 1], "green": [3, 4]}
RANGES = {"low": [0.0] * 4, "high": [SIZE - 1.0] * 4, "frame_size": [SIZE, SIZE]}


def draw(states: Tensor) -> Tensor:
    """Pictures [..., 3, SIZE, SIZE] in [0, 1] of states [..., 5]; column 2 shows nowhere."""
    axis = torch.arange(SIZE)
    planes = []
    for x, y in (states[..., 0:2].unbind(-1), states[..., 3:5].unbind(-1)):
        across = (axis - x[..., None]).square()[..., None, :]
        down = (axis - y[..., None]).square()[..., :, None]
        planes.append(torch.exp(-(across + down) / 8))
    return torch.stack([*planes, torch.zeros_like(planes[0])], dim=-3)


def random_states(shape: tuple[int, ...], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 8 + 16 * torch.rand(*shape, 5, generator=generator)


class CentroidProbe(StateProbe):
    """Reads dots without having learnt to: by the centre of mass of a colour."""

    def __init__(self, **options) -> None:
        super().__init__(PARTS, **RANGES, **options)

    def forward(self, frames: Tensor) -> Tensor:
        axis = torch.arange(SIZE, device=frames.device)
        mass = frames[:, :2] / frames[:, :2].sum((-2, -1), keepdim=True)  # [N, 2, H, W]
        places = torch.stack([(mass.sum(-2) * axis).sum(-1), (mass.sum(-1) * axis).sum(-1)], -1)
        return 2 * places.flatten(1) / (SIZE - 1) - 1
