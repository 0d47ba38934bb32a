"""Token shards: the frames of a data set, tokenised once so that many runs can train on them."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor, nn

from rlvr_world.data.manifest import Manifest, read_members, write_json
from rlvr_world.data.samples import Sample, decode_episode, write_shard
from rlvr_world.video.tokenizer.compressive import CompressiveVQModel
from rlvr_world.video.tokenizer.tokenizer_model import TokenizerModel, read_tokenizer
from rlvr_world.video.tokenizer.vq_model import VQModel

MODELS = {model.kind: model for model in (VQModel, CompressiveVQModel)}
FRAMES_AT_ONCE = 64


@dataclass(frozen=True)
class Windows:
    """Parts of episodes, each with its first frame as the context frame of all its frames."""

    clip_length: int
    context_gap: int
    context_every: int

    def of(self, frames: int) -> list[slice]:
        """The windows of an episode of ``frames`` frames; the last ones are shorter."""
        last = max(frames - self.clip_length, 0)
        length = self.context_gap + self.clip_length
        starts = sorted({*range(0, last, self.context_every), last})
        return [slice(start, min(start + length, frames)) for start in starts]


@torch.no_grad()
def tokens(
    tokenizer: Path,
    source: Path,
    root: Path,
    keep_frames: Sequence[str] = ("val", "test"),
    clip_length: int = 8,
    context_gap: int = 15,
    context_every: int = 4,
    device: str = "auto",
) -> Manifest:
    """Write the token shards of a data set.

    A finished shard is kept when the command runs again with the same tokenizer and source. The
    codes of a compressive tokenizer depend on the context frame, so an episode becomes several
    samples: for every ``context_every``-th frame, that frame as the context frame of itself and of
    the frames after it.

    Args:
        tokenizer: Checkpoint or exported folder of a trained tokenizer.
        source: Folder of the shards with frames.
        root: Folder for the shards with tokens.
        keep_frames: Splits whose frames are kept beside the tokens, so that predictions on them
            can be scored.
        clip_length: Frames that a clip spans, for a compressive tokenizer; a sample holds at least
            so many.
        context_gap: Frames between the context frame and the latest clip of its sample.
        context_every: Frames from one context frame to the next.
        device: Where the tokenizer runs; ``auto`` takes a GPU if there is one.

    Raises:
        FileNotFoundError: If the tokenizer or the source is missing.
        ValueError: If ``root`` holds the tokens of another tokenizer or source.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load_tokenizer(tokenizer).eval().to(device)
    manifest = Manifest.load(source)
    settings = {"tokenizer": model.fingerprint, "source": manifest.fingerprint}
    make: Callable[[dict[str, Any]], Iterable[Sample]] = partial(episode_tokens, model)
    if isinstance(model, CompressiveVQModel):
        windows = Windows(clip_length, context_gap, context_every)
        settings |= asdict(windows)
        make = partial(window_tokens, model, windows)
    claim(root, settings)
    names = [(split, shard.name) for split, s in manifest.splits.items() for shard in s.shards]
    for split, name in track(names, "writing token shards"):
        if not (root / name).exists():
            write_shard(root / name, tokenized(source / name, make, split in keep_frames))
    result = Manifest.build(root, "tokens", settings)
    result.save(root)
    return result


def load_tokenizer(path: Path) -> VQModel | CompressiveVQModel:
    """The tokenizer of either kind in a checkpoint or an exported folder.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds no tokenizer.
    """
    return MODELS[read_tokenizer(path).kind].load(path)


def claim(root: Path, settings: dict[str, Any]) -> None:
    """Note in ``root`` what its tokens are made from, or compare with what is noted there."""
    path = root / "settings.json"
    if not path.exists():
        write_json(path, settings)
    elif json.loads(path.read_text()) != settings:
        raise ValueError(
            f"{root} holds the tokens of another tokenizer or another recording: delete the folder "
            "or use another root"
        )


def tokenized(
    shard: Path, make: Callable[[dict[str, Any]], Iterable[Sample]], keep_frames: bool
) -> Iterator[Sample]:
    """The samples that ``make`` makes of a shard's episodes, with frames only if to be kept."""
    for members in read_members(shard):
        for key, arrays in make(decode_episode(members)):
            frames = arrays.pop("frames")
            if keep_frames:
                arrays["frames.png"] = frames.transpose(0, 2, 3, 1)
            yield key, arrays


def episode_tokens(model: VQModel, episode: dict[str, Any]) -> Iterator[Sample]:
    """An episode as one sample, each frame as tokens of its own."""
    codes = [model.encode(part) for part in pixels(model, episode["frames"])]
    yield episode["key"], members_of(model, episode, torch.cat(codes), slice(None))


def window_tokens(
    model: CompressiveVQModel, windows: Windows, episode: dict[str, Any]
) -> Iterator[Sample]:
    """An episode as one sample for each window, whose first frame is its context frame."""
    for places in windows.of(len(episode["frames"])):
        parts = pixels(model, episode["frames"][places])
        codes = [model.encode(parts[0][:1], part[None]) for part in parts]
        frames = torch.cat([part.frames[0] for part in codes])
        members = members_of(model, episode, frames, places)
        members["context_tokens.npy"] = as_array(codes[0].context)
        yield f"{episode['key']}-{places.start:04d}", members


def members_of(
    model: TokenizerModel, episode: dict[str, Any], codes: Tensor, places: slice
) -> dict[str, Any]:
    """The files of a sample with the codes [T, h, w] of some frames, and those ``frames``."""
    members = {
        "frames": episode["frames"][places],
        "tokens.npy": as_array(codes),
        "actions.npy": episode["actions"][places],
        "json": episode["json"] | {"tokenizer": model.fingerprint},
    }
    if "states" in episode:
        members["states.npy"] = episode["states"][places]
    return members


def pixels(model: nn.Module, frames: NDArray[np.uint8]) -> list[Tensor]:
    """Frames [T, 3, H, W] in [0, 1] on the model's device, in parts."""
    device = next(model.parameters()).device
    return [part.to(device).float() / 255 for part in torch.tensor(frames).split(FRAMES_AT_ONCE)]


def as_array(codes: Tensor) -> NDArray[np.uint16]:
    """Codes [T, h, w] as tokens uint16 [T, N]."""
    return codes.flatten(1).cpu().numpy().astype("uint16")
