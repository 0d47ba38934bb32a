"""What the three stages of training share: optimizer, starting weights and provenance."""

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any, Literal

import torch
from lightning import LightningModule
from lightning.pytorch.cli import OptimizerCallable
from torch import nn
from torch.optim import Optimizer
from transformers import get_scheduler

from rlvr_world import __version__


class Stage(LightningModule):
    """One stage of training.

    Its checkpoints hold plain data only, and say where they come from (``provenance``).

    Args:
        optimizer: Constructor of the optimizer, given the parameters.
        schedule: Learning-rate schedule by its name in ``transformers.get_scheduler``.
        warmup_steps: Optimizer steps over which the learning rate rises from 0.
        weights: Checkpoint of the previous stage to start from. Read when ``fit`` starts; a resumed
            run takes its weights from its own checkpoint instead.
    """

    monitor: str | None = None
    """The logged metric by which the best checkpoint is chosen; none is if not given."""

    monitor_mode: Literal["min", "max"] = "min"
    """The good direction of ``monitor``."""

    def __init__(
        self,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        schedule: str = "constant_with_warmup",
        warmup_steps: int = 0,
        weights: Path | None = None,
    ) -> None:
        super().__init__()
        self.optimizer = optimizer
        self.schedule = schedule
        self.warmup_steps = warmup_steps
        self.weights = weights
        self.parent: dict[str, str] | None = None

    def setup(self, stage: str) -> None:
        if stage == "fit" and self.weights is not None:
            self.load_weights(self.weights)

    def load_weights(self, path: Path) -> None:
        """Start from the weights of a checkpoint of the previous stage.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The checkpoint does not fit this model.
        """
        checkpoint = load_checkpoint(path)
        self.check_compatible(checkpoint, path)
        load_matching(self, checkpoint["state_dict"], path)
        self.parent = {"path": str(path), "sha256": file_digest(path)}

    @property
    def batches_seen(self) -> int:
        """Training batches before the present one, also after a resume."""
        return self.trainer.fit_loop.total_batch_idx

    def check_compatible(self, checkpoint: dict[str, Any], path: Path) -> None:
        """Raise ``ValueError`` if ``checkpoint`` was made for something else."""

    def new_optimizer(self) -> Optimizer:
        """The optimizer of all parameters that are trained."""
        return self.optimizer(p for p in self.parameters() if p.requires_grad)

    def configure_optimizers(self) -> Any:
        optimizer = self.new_optimizer()
        return {"optimizer": optimizer, "lr_scheduler": self.scheduled(optimizer)}

    def scheduled(self, optimizer: Optimizer) -> dict[str, Any]:
        """The learning-rate schedule over the whole run, stepped with the optimizer."""
        total = self.trainer.estimated_stepping_batches
        scheduler = get_scheduler(
            self.schedule,
            optimizer,
            self.warmup_steps,
            int(total) if total != float("inf") else None,
        )
        return {"scheduler": scheduler, "interval": "step"}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        arguments = plain(dict(checkpoint.pop(self.CHECKPOINT_HYPER_PARAMS_KEY, {})))
        if arguments is not None:
            checkpoint[self.CHECKPOINT_HYPER_PARAMS_KEY] = arguments
        checkpoint["provenance"] = {
            "stage": type(self).__name__,
            "version": __version__,
            "commit": code_commit(),
            "parent": self.parent,
            "data": getattr(self.trainer.datamodule, "fingerprint", None),
        }


def load_checkpoint(path: Path | str) -> dict[str, Any]:
    """Read a checkpoint as plain data.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is cut short or is no checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such checkpoint; run the previous stage first, or correct `weights`"
        )
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"{path}: not a readable checkpoint ({type(error).__name__})") from error
    if "state_dict" not in checkpoint:
        raise ValueError(f"{path}: not a Lightning checkpoint, it has no `state_dict`")
    return checkpoint


def load_matching(module: nn.Module, state: dict[str, torch.Tensor], path: Path | str) -> None:
    """Load ``state`` strictly, with one sentence that says what does not fit."""
    own = module.state_dict()
    missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    shapes = [k for k in own.keys() & state.keys() if own[k].shape != state[k].shape]
    faults = (("lacks", missing), ("has unknown", unknown), ("differs in the shape of", shapes))
    for fault, keys in faults:
        if keys:
            raise ValueError(
                f"{path}: does not fit this {type(module).__name__}: it {fault} {keys[0]}"
                f"{f' and {len(keys) - 1} more' if len(keys) > 1 else ''}; "
                "the model settings must equal those it was trained with"
            )
    module.load_state_dict(state)


def plain(value: Any) -> Any:
    """``value`` as JSON holds it, paths as strings; None if it holds live objects.

    Under the command line, arguments are plain dictionaries from which a checkpoint rebuilds the
    objects. A model that was put together in Python is rebuilt by the same code instead.
    """
    try:
        return json.loads(json.dumps(value, default=_path_string))
    except TypeError:
        return None


def _path_string(value: Any) -> str:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} is not plain data")


def file_digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_commit() -> str | None:
    """The commit this code is at, with ``+`` if the code has changes; None outside git."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        dirty = git("status", "--porcelain", "--untracked-files=no", ".")
        return git("rev-parse", "--short", "HEAD") + ("+" if dirty else "")
    except (OSError, subprocess.SubprocessError):
        return None
