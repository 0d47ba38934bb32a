"""Token shards: the frames of a data set, tokenised once so that many runs can train on them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from rlvr_world.data.samples import Sample, read_members, write_shard
from rlvr_world.files import claim
from rlvr_world.video.data.episodes import decode_episode
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.tokenizer import CompressiveVQModel, TokenizerModel

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
    """
    if Path(root).absolute() == Path(source).absolute():
        raise ValueError(f"root: {root} is the source; give another folder for the tokens")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    model = TokenizerModel.load(tokenizer).eval().to(device)
    manifest, fingerprint, windows = Manifest.load(source), model.fingerprint, None
    settings: dict[str, Any] = {"tokenizer": fingerprint, "source": manifest.fingerprint}
    if isinstance(model, CompressiveVQModel):
        windows = Windows(clip_length, context_gap, context_every)
        settings |= asdict(windows)
    claim(root, settings)
    names = [(split, shard.name) for split, s in manifest.splits.items() for shard in s.shards]
    for split, name in track(names, "writing token shards"):
        if not (root / name).exists():
            episodes = map(decode_episode, read_members(source / name))
            made = tokenized(episodes, model, fingerprint, windows, split in keep_frames)
            write_shard(root / name, made)
    result = Manifest.build(root, "tokens", settings)
    result.save(root)
    return result


def tokenized(
    episodes: Iterable[dict[str, Any]],
    model: TokenizerModel,
    fingerprint: str,
    windows: Windows | None,
    keep_frames: bool,
) -> Iterator[Sample]:
    """The samples of episodes that ``decode_episode`` returned, whose frames become tokens.

    Without ``windows``, which a tokenizer that needs a context frame asks for, an episode stays one
    sample.
    """
    for episode in episodes:
        frames = episode["frames"]
        for window in windows.of(len(frames)) if windows else [slice(None)]:
            codes = encoded(model, frames[window])
            members = {
                "tokens.npy": codes["tokens.npy"],
                "actions.npy": episode["actions"][window],
                "json": episode["json"] | {"tokenizer": fingerprint},
            }
            if "states" in episode:
                members["states.npy"] = episode["states"][window]
            members |= codes
            if keep_frames:
                members["frames.png"] = frames[window].transpose(0, 2, 3, 1)
            yield f"{episode['key']}-{window.start:04d}" if windows else episode["key"], members


def encoded(model: TokenizerModel, frames: NDArray[np.uint8]) -> dict[str, NDArray[np.uint16]]:
    """The tokens of frames [T, 3, H, W] by file; the first one is the context frame, if any."""
    device = next(model.parameters()).device
    parts = [part.to(device).float() / 255 for part in torch.tensor(frames).split(FRAMES_AT_ONCE)]
    if not isinstance(model, CompressiveVQModel):
        return {"tokens.npy": as_array(torch.cat([model.encode(part) for part in parts]))}
    codes = [model.encode(parts[0][:1], part[None]) for part in parts]
    return {
        "tokens.npy": as_array(torch.cat([part.frames[0] for part in codes])),
        "context_tokens.npy": as_array(codes[0].context),
    }


def as_array(codes: Tensor) -> NDArray[np.uint16]:
    """Codes [T, h, w] as tokens uint16 [T, N]."""
    return codes.flatten(1).cpu().numpy().astype("uint16")
