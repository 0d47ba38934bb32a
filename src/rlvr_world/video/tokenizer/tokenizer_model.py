"""What the tokenizers of video share: they are known by a hash, saved and read again."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rlvr_world.files import read_json, whole, write_json
from rlvr_world.modules.checkpoint import check_intact, check_matching
from rlvr_world.modules.exported import is_exported, read_exported
from rlvr_world.modules.trusted import check_depth
from rlvr_world.video.tokenizer.quantize import FiniteScalarQuantizer

KINDS: dict[str, type["TokenizerModel"]] = {}
"""The classes of tokenizers by ``kind``, under which a checkpoint keeps their arguments."""


class TokenizerModel(nn.Module):
    """A network that turns frames into codes and back.

    Args:
        arguments: What its class was constructed with: the ``locals()`` of the constructor.
    """

    kind: ClassVar[str]
    """How files name the class."""

    num_codes: int
    """The codebook size of a predicted frame."""

    quantizer: FiniteScalarQuantizer
    """That of predicted frames."""

    encode: Callable[..., Any]
    decode: Callable[..., Any]
    decode_points: Callable[..., Any]

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in arguments.items()
            if name not in ("self", "__class__")
        }

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "kind" in vars(cls):
            KINDS[cls.kind] = cls

    @property
    def fingerprint(self) -> str:
        """A short hash of arguments and weights; two models with equal ones code alike."""
        digest = hashlib.sha256(json.dumps(self.config, sort_keys=True).encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def code_features(self) -> Tensor | None:
        """Numbers that similar codes have in common, [codes, K]; None if there are none."""
        return None

    def packed(self) -> dict[str, Any]:
        """Kind, arguments and weights as plain data, for the checkpoint of a world model.

        ``load`` reads them again under ``checkpoint["codec"]["tokenizer"]``.
        """
        weights = {name: tensor.detach().cpu() for name, tensor in self.state_dict().items()}
        return SavedTokenizer(self.kind, self.config, weights)._asdict()

    def export(self, folder: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors``, which ``load`` reads."""
        weights = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        with whole(Path(folder, "model.safetensors")) as file:
            save_file(weights, file)
        write_json(Path(folder, "config.json"), {"kind": self.kind} | self.config)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The tokenizer in a file or folder, on the CPU; ``TokenizerModel.load`` takes any kind.

        Args:
            path: A checkpoint of the tokenizer stage, a checkpoint of a world model that holds its
                tokenizer, or an exported folder of either.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is truncated, holds no tokenizer, or one of another kind.
        """
        saved = read_tokenizer(path)
        kind = KINDS.get(str(saved.kind))
        if kind is None or not issubclass(kind, cls):
            needed = getattr(cls, "kind", " or ".join(KINDS))
            raise ValueError(
                f"{path}: a tokenizer of the kind {saved.kind}, but a {needed} is needed here; "
                "give another checkpoint or another codec"
            )
        check_depth(saved.config, len(saved.weights), str(path))
        try:
            with torch.device("meta"):  # before the settings can ask for memory
                planned = kind(**saved.config)
        except Exception as error:
            raise ValueError(f"{path}: not the settings of a {saved.kind} ({error})") from error
        check_matching(planned, dict(saved.weights), path)
        model = kind(**saved.config)
        model.load_state_dict(saved.weights)
        return model


class SavedTokenizer(NamedTuple):
    """What a file says of a tokenizer."""

    kind: str
    config: dict[str, Any]
    weights: Mapping[str, Tensor]


def read_tokenizer(path: str | Path) -> SavedTokenizer:
    """What a checkpoint or an exported folder holds of a tokenizer, on the CPU."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such tokenizer; the tokenizer stage makes it: "
            "rlvr-world fit -c configs/<preset>/tokenizer.yaml"
        )
    if path.is_file():
        check_intact(path)
    elif not (path / "config.json").is_file():
        raise ValueError(
            f"{path}: a folder without a tokenizer's config.json; of a run give the checkpoint, "
            f"such as {path / 'checkpoints' / 'best.ckpt'}"
        )
    try:
        alone = path.is_dir() and not is_exported(path)
        saved = _read_folder(path) if alone else _read_checkpoint(path)
        if saved is not None:
            saved = SavedTokenizer(saved.kind, dict(saved.config), dict(saved.weights))
            if not all(isinstance(weight, Tensor) for weight in saved.weights.values()):
                raise TypeError("its weights are no tensors")
    except Exception as error:
        raise ValueError(
            f"{path}: cannot be read as a tokenizer, it may be truncated; copy it again or train "
            "the tokenizer again"
        ) from error
    if saved is None:
        raise ValueError(
            f"{path}: not a tokenizer checkpoint (it has no {' or '.join(map(repr, KINDS))}, nor "
            "a codec with a tokenizer); give the one that the tokenizer stage wrote"
        )
    return saved


def _read_folder(folder: Path) -> SavedTokenizer:
    config = read_json(folder / "config.json")
    kind = config.pop("kind", "vq_model")
    return SavedTokenizer(kind, config, load_file(folder / "model.safetensors"))


def _read_checkpoint(path: Path) -> SavedTokenizer | None:
    exported = path.is_dir()
    checkpoint = read_exported(path) if exported else torch.load(path, "cpu", weights_only=True)
    if not isinstance(checkpoint, dict):
        return None
    packed = checkpoint.get("codec", {}).get("tokenizer")
    if packed is not None:
        return SavedTokenizer(**packed)
    for kind in KINDS.keys() & checkpoint.keys():
        state, prefix = checkpoint["state_dict"].items(), "model."
        weights = {n.removeprefix(prefix): t for n, t in state if n.startswith(prefix)}
        return SavedTokenizer(kind, checkpoint[kind], weights)
    return None
