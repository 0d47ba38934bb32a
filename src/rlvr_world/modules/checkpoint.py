"""Checkpoints on disk: written whole, read as plain data, refused where they are damaged."""

import json
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from torch import nn

from rlvr_world.files import whole
from rlvr_world.modules.exported import is_exported, read_exported


class CheckpointFiles(TorchCheckpointIO):
    """Writes each checkpoint beside its place before it goes there, and reads plain data only.

    A run that is killed while it writes, or for which there is no space, leaves the checkpoint from
    before as it is.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint, whole or not at all.

        Raises:
            OSError: The disk is full or the folder cannot be written to.
        """
        if "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        try:
            with whole(Path(path)) as unfinished:
                torch.save(checkpoint, unfinished)
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
            if reason.startswith("[enforce fail"):  # PyTorch's way to say so
                reason = "the disk takes no more of it"
            raise OSError(
                f"{path}: the checkpoint cannot be written ({reason}); what was there before is "
                "untouched: make room, then resume from it"
            ) from error

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint on the CPU, see ``load_checkpoint``."""
        return load_checkpoint(path)


def load_checkpoint(path: Path | str) -> dict[str, Any]:
    """Read a checkpoint, or a world model that was exported in our layout, as plain data.

    All tensors are on the CPU.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged or is no checkpoint.
    """
    path = Path(path)
    if path.is_dir() and is_exported(path):
        checkpoint = read_exported(path)
    elif path.is_dir():
        raise ValueError(f"{path}: is a folder; give the checkpoint in it, a file *.ckpt")
    else:
        checkpoint = read_file(path)
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise ValueError(f"{path}: not a Lightning checkpoint, it has no `state_dict`")
    return checkpoint


def read_file(path: Path) -> Any:
    """The plain data in a file that PyTorch wrote."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such checkpoint; run the previous stage first, or correct the path"
        )
    check_intact(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"{path}: not a readable checkpoint ({type(error).__name__})") from error


def check_intact(path: Path) -> None:
    """Compare the bytes of a file that PyTorch wrote with the checksums in it.

    Raises:
        ValueError: It is empty, cut short, or has changed since.
    """
    if not path.stat().st_size:
        raise ValueError(f"{path}: is empty; use an earlier checkpoint")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
        raise ValueError(
            f"{path}: not a readable checkpoint, it is cut short or no checkpoint at all; copy it "
            "again, or use an earlier one"
        ) from error
    if damaged is not None:
        raise ValueError(
            f"{path}: the checkpoint is damaged, the checksum of {damaged} is wrong; copy it "
            "again, or use an earlier one"
        )


def load_matching(module: nn.Module, state: dict[str, torch.Tensor], path: Path | str) -> None:
    """Load ``state`` strictly, with one sentence that says what does not fit."""
    check_matching(module, state, path)
    module.load_state_dict(state)


def check_matching(module: nn.Module, state: dict[str, torch.Tensor], path: Path | str) -> None:
    """Raise ``ValueError`` with what of ``state`` does not fit a module."""
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
