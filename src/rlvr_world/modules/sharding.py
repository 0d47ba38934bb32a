"""Training of models whose weights and optimizer states are too large for one device."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.strategies import (
    FSDPStrategy,
    ModelParallelStrategy,
    Strategy,
    StrategyRegistry,
)
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning_utilities import apply_to_collection
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from rlvr_world.nn.sequence_model import SequenceModel
from rlvr_world.nn.sharding import gathered, shard, split_like

DTYPES = {"bf16-mixed": torch.bfloat16, "bf16-true": torch.bfloat16, "16-true": torch.float16}
"""In which type a model computes, by precision, if not in that of its weights."""


class FSDP2(ModelParallelStrategy):
    """Lightning's strategy for FSDP2, over all ranks, for world models; named ``fsdp2``.

    Its checkpoints are those of one process, and each can resume the other's.
    """

    lightning_restore_optimizer = True

    def __init__(self, **options: Any) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False, **options)

    def setup_environment(self) -> None:
        """Take all ranks."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """The whole weights, on the CPU; none on ranks that save nothing."""
        assert self.lightning_module is not None
        return self.collected(self.lightning_module.state_dict())

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The whole state of an optimizer."""
        return self.collected(optimizer.state_dict())

    def collected(self, state: dict[str, Any]) -> dict[str, Any]:
        """A state with whole tensors, on the CPU; none on ranks that save nothing."""

        def collect(tensor: Tensor) -> Tensor | None:
            whole = gathered(tensor)
            return whole.cpu() if self.is_global_zero else None

        return apply_to_collection(state, DTensor, collect)

    def load_checkpoint(self, checkpoint_path: str | Path, weights_only: Any = None) -> Any:
        """Read a checkpoint, as other strategies do."""
        return super(ModelParallelStrategy, self).load_checkpoint(checkpoint_path, weights_only)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Take the own share of whole weights."""
        assert self.lightning_module is not None
        own = self.lightning_module.state_dict()
        state = split_like(checkpoint["state_dict"], own)
        self.lightning_module.load_state_dict(state, strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Take the own share of whole states of optimizers."""
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            groups = zip(state["param_groups"], optimizer.param_groups, strict=True)
            for saved, own in groups:
                for index, parameter in zip(saved["params"], own["params"], strict=True):
                    values = state["state"].get(index, {})
                    values |= split_like(values, dict.fromkeys(values, parameter))
            optimizer.load_state_dict(state)


def split(model: SequenceModel, strategy: Strategy | None) -> SequenceModel:
    """A model, split among the ranks if that is the strategy and it has not been done yet."""
    if isinstance(strategy, FSDP2) and model.twin is None:
        dtype = DTYPES.get(str(strategy.precision_plugin.precision))
        shard(model, strategy.device_mesh["data_parallel"], dtype)
    return model


StrategyRegistry.register("fsdp2", FSDP2, description="FSDP2 over all ranks", override=True)


def check_strategy(module: LightningModule, strategy: Strategy | None) -> None:
    """Raise ``ValueError`` if a stage cannot be trained by a strategy."""
    if isinstance(strategy, FSDP2):
        if not is_overridden("configure_model", module):
            raise ValueError(f"strategy: {type(module).__name__} cannot be split by fsdp2; use ddp")
        if getattr(strategy.precision_plugin, "scaler", None) is not None:
            raise ValueError("precision: fsdp2 does not scale losses; use bf16-mixed")
    elif isinstance(strategy, FSDPStrategy | ModelParallelStrategy):
        raise ValueError(
            f"strategy: {type(strategy).__name__} does not clip gradients by norm or draw rollouts "
            "as these stages need it; use fsdp2"
        )
