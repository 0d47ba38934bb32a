"""What the tokenizers of video share: they are known by a hash, saved and read again."""

import hashlib
import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

KINDS = ("vq_model", "compressive_vq_model")
"""Where a Lightning checkpoint keeps the arguments of its tokenizer, for each kind of tokenizer."""


class TokenizerModel(nn.Module):
    """A network that turns frames into codes and back; ``config`` holds its arguments."""

    kind: ClassVar[str]
    """The entry of ``KINDS`` under which checkpoints hold the arguments."""

    config: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """A short hash of arguments and weights; two models with equal ones code alike."""
        digest = hashlib.sha256(json.dumps(self.config, sort_keys=True).encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def export(self, folder: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors``, which ``load`` reads."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        save_file(weights, folder / "model.safetensors.part")
        config = {"kind": self.kind} | self.config
        (folder / "config.json.part").write_text(json.dumps(config, indent=2) + "\n")
        for name in ("model.safetensors", "config.json"):
            os.replace(folder / f"{name}.part", folder / name)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The tokenizer in a checkpoint of its stage or in an exported folder, on the CPU.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is truncated, or of another kind.
        """
        saved = read_tokenizer(path)
        if saved.kind != cls.kind:
            raise ValueError(
                f"{path}: a tokenizer of the kind {saved.kind}, but a {cls.kind} is needed here; "
                "give another checkpoint or another codec"
            )
        model = cls(**saved.config)
        model.load_state_dict(saved.weights)
        return model


class SavedTokenizer(NamedTuple):
    """What a file says of a tokenizer."""

    kind: str
    config: dict[str, Any]
    weights: Mapping[str, Tensor]


def read_tokenizer(path: str | Path) -> SavedTokenizer:
    """What a checkpoint of the tokenizer stage or an exported folder holds, on the CPU.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated, or holds no tokenizer.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such tokenizer; the tokenizer stage makes it: "
            "rlvr-world fit -c configs/<preset>/tokenizer.yaml"
        )
    try:
        return _read_folder(path) if path.is_dir() else _read_checkpoint(path)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, SafetensorError) as error:
        raise ValueError(
            f"{path}: cannot be read as a tokenizer, it may be truncated; copy it again or train "
            "the tokenizer again"
        ) from error


def _read_folder(folder: Path) -> SavedTokenizer:
    config = json.loads((folder / "config.json").read_text())
    kind = config.pop("kind", "vq_model")
    return SavedTokenizer(kind, config, load_file(folder / "model.safetensors"))


def _read_checkpoint(path: Path) -> SavedTokenizer:
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    known = isinstance(checkpoint, dict) and [kind for kind in KINDS if kind in checkpoint]
    if not known:
        raise ValueError(
            f"{path}: not a tokenizer checkpoint (it has no {' or '.join(map(repr, KINDS))}); give "
            "the one that the tokenizer stage wrote"
        )
    prefix = "model."
    weights = {
        name.removeprefix(prefix): tensor
        for name, tensor in checkpoint["state_dict"].items()
        if name.startswith(prefix)
    }
    return SavedTokenizer(known[0], checkpoint[known[0]], weights)
