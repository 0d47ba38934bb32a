"""A module that is used, not owned."""

from typing import Generic, TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


class Frozen(Generic[M]):
    """Holds a module outside the owner's parameters: not saved, not trained, not wrapped by DDP.

    Args:
        module: The module to hold. Its parameters stop requiring gradients.
    """

    def __init__(self, module: M) -> None:
        self.module = module.eval().requires_grad_(False)

    def on(self, device: torch.device | str) -> M:
        """The module, moved to ``device`` if it is not there already."""
        anchor = next(self.module.parameters(), None)
        if anchor is not None and anchor.device != torch.device(device):
            self.module.to(device)
        return self.module
