"""The data sets of DINO-WM (Zhou et al., 2024): PushT, and the deformable Rope and Granular."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlvr_world.data.manifest import fingerprint
from rlvr_world.video.sources.conversion import EpisodeConverter
from rlvr_world.video.sources.episodes import BadEpisode, Episode, EpisodeReader
from rlvr_world.video.sources.mp4 import read_video

ActionKind = Literal["relative", "absolute"]
ACTIONS = {"relative": "rel_actions.pth", "absolute": "abs_actions.pth"}
FRAMES = ("obses/episode_{:03d}.mp4", "obses/episode_{:03d}.pth", "{:06d}/obses.pth")


@dataclass(frozen=True)
class DinoReader(EpisodeReader):
    """Episodes of one or two folders, each of which has tensors of all its episodes.

    Args:
        parts: The folders, the name of the tensor of actions in each, and its episodes.
    """

    parts: list[tuple[Path, str, int]]

    def __len__(self) -> int:
        return sum(count for _, _, count in self.parts)

    def read(self, index: int) -> Episode:
        folder, actions_name, number = self._find(index)
        frames = read_frames(folder, number)
        actions = open_tensor(folder / actions_name)[number]
        states = open_tensor(folder / "states.pth")[number].flatten(1)
        length = min(len(frames), len(actions), len(states))
        info = {"episode": self.where(index)}
        return Episode(frames[:length], to_array(actions[:length]), to_array(states[:length]), info)

    def where(self, index: int) -> str:
        folder, _, number = self._find(index)
        return f"{folder.name}, episode {number}"

    def split(self, index: int) -> str:
        """The name of the folder, if there is one folder per split."""
        return self._find(index)[0].name if len(self.parts) > 1 else "train"

    def _find(self, index: int) -> tuple[Path, str, int]:
        for folder, actions, count in self.parts:
            if index < count:
                return folder, actions, index
            index -= count
        raise IndexError(index)


class DinoConverter(EpisodeConverter):
    """Converts a data set of DINO-WM (PushT, Rope or Granular) into shards.

    An episode is as long as its frames; the tensors are longer, and ``seq_lengths.pkl`` is a
    pickle, which is not read. Velocities are not kept.

    Args:
        source: Folder with ``states.pth`` and the tensor of actions, or with ``train`` and ``val``.
        actions: Which of PushT's actions to take: relative to the agent, or positions.
        **conversion: See ``EpisodeConverter``.
    """

    source_name = "dino_wm"

    def __init__(
        self,
        source: Path,
        root: Path = Path("data/dino_wm"),
        actions: ActionKind = "relative",
        **conversion: Any,
    ) -> None:
        super().__init__(source, root, **conversion)
        self.actions = actions

    def open(self) -> tuple[DinoReader, dict[str, Any]]:
        folders = [self.source / name for name in ("train", "val")]
        folders = [folder for folder in (*folders, self.source) if (folder / "states.pth").exists()]
        if not folders:
            raise FileNotFoundError(f"{self.source} holds no states.pth and no train/states.pth")
        parts, sizes = [], {}
        for folder in folders:
            names = (ACTIONS[self.actions], "actions.pth")
            found = [name for name in names if (folder / name).exists()]
            if not found:
                raise FileNotFoundError(f"{folder} holds neither {' nor '.join(names)}")
            parts.append((folder, found[0], len(open_tensor(folder / "states.pth"))))
            for name in ("states.pth", found[0]):
                sizes[f"{folder.name}/{name}"] = str((folder / name).stat().st_size)
        return DinoReader(parts), {"files": fingerprint(sizes), "actions": self.actions}


@cache
def open_tensor(path: Path) -> Tensor:
    """The tensor of all episodes in a file, of which only what is used is read from the disk."""
    try:
        tensor = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        reason = type(error).__name__
        raise ValueError(f"{path} cannot be read as a tensor ({reason})") from error
    if not isinstance(tensor, Tensor) or tensor.ndim < 3:
        raise ValueError(f"{path} does not hold one tensor [N, T, ...]")
    return tensor


def to_array(tensor: Tensor) -> NDArray[np.float32]:
    """A copy as float32."""
    return tensor.float().numpy().copy()


def read_frames(folder: Path, number: int) -> NDArray[np.uint8]:
    """Frames uint8 [T, H, W, 3] of one episode, from a video or a tensor."""
    paths = [folder / name.format(number) for name in FRAMES]
    found = [path for path in paths if path.exists()]
    if not found:
        raise BadEpisode(f"it has no frames; looked for {', '.join(map(str, paths))}")
    if found[0].suffix == ".mp4":
        return read_video(found[0])
    try:
        frames = torch.load(found[0], map_location="cpu", weights_only=True)
    except Exception as error:
        reason = type(error).__name__
        raise BadEpisode(f"{found[0].name} cannot be read as a tensor ({reason})") from error
    whole = isinstance(frames, Tensor) and frames.ndim == 4 and frames.shape[-1] == 3
    if not whole or not torch.equal(frames, frames.byte().to(frames.dtype)):
        raise BadEpisode(f"{found[0].name} does not hold whole numbers 0 to 255 [T, H, W, 3]")
    return frames.byte().numpy()
