"""Models whose weights are split among ranks by PyTorch's FSDP2.

In a forward pass FSDP2 gathers the weights of one block after another, from all ranks at once, so
all must make the same passes. Where each makes as many as it needs, as in rollouts, validations and
parts of a token budget, they use a twin that holds all weights for a while.
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import (
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor, Partial, distribute_tensor

from rlvr_world.nn.sequence_model import SequenceModel


class Twin:
    """A model that can be given all weights of another one, which are split among ranks.

    Args:
        model: Still whole; the weights of this very object are split afterwards.
        device: Where its copies of the weights go.
        dtype: Their type; that of the model if not given.
    """

    def __init__(
        self, model: SequenceModel, device: torch.device, dtype: torch.dtype | None = None
    ) -> None:
        self.sharded: Any = model
        self.empty = torch.empty(0, device=device)
        blank = {
            id(p): nn.Parameter(self.empty.to(dtype or p.dtype), p.requires_grad)
            for p in model.parameters()
        }
        self.whole = copy.deepcopy(model, blank).to(device)
        self.users = 0

    @property
    def pairs(self) -> Iterator[tuple[Any, nn.Parameter]]:
        """Each split parameter and its counterpart here."""
        return zip(self.sharded.parameters(), self.whole.parameters(), strict=True)

    @contextmanager
    def filled(self) -> Iterator[SequenceModel]:
        """The twin, with weights until the outermost such context is left.

        To be entered by all ranks.
        """
        if not self.users:
            self.sharded.reshard()
            self.whole.train(self.sharded.training)
            with torch.inference_mode(False), torch.no_grad():
                for split, whole in self.pairs:
                    whole.data = gathered(split.to(whole.dtype))
        self.users += 1
        try:
            yield self.whole
        finally:
            self.users -= 1
            if not self.users:
                for _, whole in self.pairs:
                    whole.data, whole.grad = self.empty.to(whole.dtype), None

    @torch.no_grad()
    def hand_over_gradients(self) -> None:
        """Give each rank its share of the gradients' mean over ranks; to be called by all ranks."""
        for split, whole in self.pairs:
            if split.requires_grad:
                found = torch.zeros_like(whole) if whole.grad is None else whole.grad
                mean = found.float() / split.device_mesh.size()
                total = DTensor.from_local(mean, split.device_mesh, [Partial()])
                split.grad = total.redistribute(placements=split.placements).to(split.dtype)
                whole.grad = None


def shard(model: SequenceModel, mesh: DeviceMesh, dtype: torch.dtype | None = None) -> None:
    """Split the weights of a model among the ranks of a mesh of one dimension.

    Args:
        model: Its weights must be the same on all ranks.
        mesh: The ranks.
        dtype: In which it computes, if not in that of its weights; gradients are then summed over
            ranks in float32.
    """
    model.twin = Twin(model, torch.device(mesh.device_type), dtype)
    policy = MixedPrecisionPolicy(dtype, dtype and torch.float32)
    for part in (*model.layers, model):
        fully_shard(part, mesh=mesh, mp_policy=policy)
    register_fsdp_forward_method(model, "logits")


def gathered(tensor: Tensor) -> Tensor:
    """A tensor as a whole; what is split is gathered by all ranks at once."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def split_like(state: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Whole tensors by name, each split as the one of the same name and shape in ``own`` is."""
    return {name: share(value, own.get(name)) for name, value in state.items()}


def share(value: Any, own: Any) -> Any:
    """The part of a whole tensor that this rank holds, if ``own`` is split and of its shape."""
    if not isinstance(own, DTensor) or getattr(value, "shape", None) != own.shape:
        return value
    local = value.to(own.device)
    return distribute_tensor(local, own.device_mesh, own.placements, src_data_rank=None)
