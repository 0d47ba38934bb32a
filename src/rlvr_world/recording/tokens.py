"""Token shards: the frames of a data set, tokenised once so that many runs can train on them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from rich.progress import track

from rlvr_world.data.manifest import Manifest, read_members, write_json
from rlvr_world.data.samples import Sample, decode_episode, write_shard
from rlvr_world.nn.vq_model import VQModel, load_vq_model


def tokens(
    tokenizer: Path,
    source: Path,
    root: Path,
    keep_frames: Sequence[str] = ("val", "test"),
    device: str = "auto",
) -> Manifest:
    """Write the token shards of a data set.

    A finished shard is kept when the command runs again with the same tokenizer and source.

    Args:
        tokenizer: Checkpoint or exported folder of a trained tokenizer.
        source: Folder of the shards with frames.
        root: Folder for the shards with tokens.
        keep_frames: Splits whose frames are kept beside the tokens, so that predictions on them
            can be scored.
        device: Where the tokenizer runs; ``auto`` takes a GPU if there is one.

    Raises:
        FileNotFoundError: If the tokenizer or the source is missing.
        ValueError: If ``root`` holds the tokens of another tokenizer or source.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_vq_model(tokenizer).eval().to(device)
    manifest = Manifest.load(source)
    settings = {"tokenizer": model.fingerprint, "source": manifest.fingerprint}
    claim(root, settings)
    names = [(split, shard.name) for split, s in manifest.splits.items() for shard in s.shards]
    for split, name in track(names, "writing token shards"):
        if not (root / name).exists():
            samples = tokenized(source / name, model, split in keep_frames)
            write_shard(root / name, samples)
    result = Manifest.build(root, "tokens", settings)
    result.save(root)
    return result


def claim(root: Path, settings: dict[str, str]) -> None:
    """Note in ``root`` what its tokens are made from, or compare with what is noted there."""
    path = root / "settings.json"
    if not path.exists():
        write_json(path, settings)
    elif json.loads(path.read_text()) != settings:
        raise ValueError(
            f"{root} holds the tokens of another tokenizer or another recording: delete the folder "
            "or use another root"
        )


def tokenized(shard: Path, model: VQModel, keep_frames: bool) -> Iterator[Sample]:
    """The samples of a shard with tokens, and with frames only if they are to be kept."""
    for members in read_members(shard):
        episode = decode_episode(members)
        kept: dict[str, Any] = {
            "tokens.npy": encode_frames(model, torch.tensor(episode["frames"])),
            "actions.npy": episode["actions"],
            "json": episode["json"] | {"tokenizer": model.fingerprint},
        }
        if "states" in episode:
            kept["states.npy"] = episode["states"]
        if keep_frames:
            kept["frames.png"] = episode["frames"].transpose(0, 2, 3, 1)
        yield episode["key"], kept


@torch.no_grad()
def encode_frames(model: VQModel, frames: torch.Tensor) -> Any:
    """Codes uint16 [T, N] of frames uint8 [T, 3, H, W]."""
    device = next(model.parameters()).device
    codes = [model.encode(part.to(device).float() / 255) for part in frames.split(64)]
    return rearrange(torch.cat(codes), "t h w -> t (h w)").cpu().numpy().astype("uint16")
