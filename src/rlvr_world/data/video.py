"""Clips of video with actions, from frames or from tokens."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlvr_world.data.manifest import Manifest, read_members
from rlvr_world.data.samples import BadSample, Shapes, decode_episode
from rlvr_world.data.shards import ShardDataModule
from rlvr_world.data.stream import Example, ExampleReader, RawSample
from rlvr_world.types import Batch


@dataclass(frozen=True)
class ClipReader(ExampleReader):
    """Cuts clips out of episodes.

    Args:
        shapes: What a time step of each array looks like.
        length: Frames per clip.
        stride: A clip takes every ``stride``-th frame.
        clips_per_episode: Clips to train on, anywhere in the episode.
        eval_clips_per_episode: Clips to evaluate on, spread evenly over the episode.
    """

    shapes: Shapes
    length: int
    stride: int
    clips_per_episode: int
    eval_clips_per_episode: int

    @property
    def span(self) -> int:
        """Frames of the episode that a clip and its actions need."""
        return self.length * self.stride

    def draw(self, sample: RawSample, rng: random.Random) -> list[Example]:
        """Clips that start anywhere."""
        episode = self._episode(sample)
        starts = range(len(episode["actions"]) - self.span + 1)
        return [self._cut(episode, rng.choice(starts)) for _ in range(self.clips_per_episode)]

    def spread(self, sample: RawSample) -> list[Example]:
        """Clips that are spread evenly over the episode."""
        episode = self._episode(sample)
        return [self._cut(episode, start) for start in self.starts(len(episode["actions"]))]

    def count(self, length: int) -> int:
        """How many clips ``spread`` makes of an episode of ``length`` frames."""
        return len(self.starts(length))

    def starts(self, frames: int) -> list[int]:
        """Where the evaluation clips of an episode start."""
        last = frames - self.span
        if last < 0:
            return []
        starts = np.linspace(0, last, self.eval_clips_per_episode) if last else np.zeros(1)
        return np.unique(starts.round().astype(int)).tolist()

    def collate(self, examples: list[Example]) -> Batch:
        """A batch: tensors [B, T, ...] and lists of names."""
        first = examples[0]
        return {
            name: [example[name] for example in examples]
            if isinstance(value, str)
            else torch.from_numpy(np.stack([example[name] for example in examples]))
            for name, value in first.items()
        }

    def _episode(self, sample: RawSample) -> dict[str, Any]:
        episode = decode_episode(sample, self.shapes)
        frames = len(episode["actions"])
        if frames < self.span:
            raise BadSample(
                f"{sample['__url__']}: {sample['__key__']} has {frames} frames, but a clip of "
                f"{self.length} at stride {self.stride} needs {self.span}"
            )
        if "tokens" in episode and "tokenizer" not in episode["json"]:
            raise BadSample(f"{sample['__url__']}: {sample['__key__']} does not name its tokenizer")
        return episode

    def _cut(self, episode: dict[str, Any], start: int) -> Example:
        """The clip [T, ...] that starts at a frame; its actions are [T, A * stride]."""
        window = slice(start, start + self.span)
        clip = {
            name: episode[name][window][:: self.stride]
            for name in ("frames", "tokens", "states")
            if name in episode
        }
        clip["actions"] = episode["actions"][window].reshape(self.length, -1)
        clip["key"] = f"{episode['key']}:{start}"
        if "tokens" in episode:
            clip["tokenizer"] = episode["json"]["tokenizer"]
        return clip


class VideoDataModule(ShardDataModule):
    """Clips of video with actions.

    A batch holds ``frames`` uint8 [B, T, 3, H, W], or ``tokens`` long [B, T, N] with the
    fingerprints of their ``tokenizer``; ``actions`` float32 [B, T, A * stride], of which step t
    holds all actions between frame t and frame t + 1; ``states`` float32 [B, T, S] where there are
    any; and ``key``, the episode and the first frame of each clip.

    Args:
        root: Folder with the shards and their ``manifest.json``.
        clip_length: Frames per clip.
        stride: A clip takes every ``stride``-th frame.
        clips_per_episode: Clips that training takes of an episode each time it decodes one.
        eval_clips_per_episode: Clips of each episode for validation and test, evenly spread.
        image_size: The height and width that frames must have, if given.
        **shards: See ``ShardDataModule``.
    """

    made_by = "rlvr-world data pusht --root {root}"

    def __init__(
        self,
        root: str = "data/pusht",
        clip_length: int = 5,
        stride: int = 1,
        clips_per_episode: int = 4,
        eval_clips_per_episode: int = 4,
        image_size: int | None = None,
        **shards: Any,
    ) -> None:
        super().__init__(root, **shards)
        counts = {
            "clip_length": clip_length,
            "stride": stride,
            "clips_per_episode": clips_per_episode,
            "eval_clips_per_episode": eval_clips_per_episode,
        }
        for name, value in counts.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.cut = (clip_length, stride, clips_per_episode, eval_clips_per_episode)
        self.image_size = image_size

    def reader(self, split: str) -> ClipReader:
        """Cuts clips out of episodes whose arrays look as the manifest says."""
        return ClipReader(self.manifest.splits[split].shapes, *self.cut)

    def setup(self, stage: str) -> None:
        """Check that the data is there and that frames have the expected size."""
        super().setup(stage)
        for split in self.manifest.splits.values():
            height, width, _ = split.shapes.get("frames", (self.image_size,) * 3)
            if self.image_size is not None and not height == width == self.image_size:
                raise ValueError(
                    f"{self.root} holds frames of {height} x {width}, but image_size is "
                    f"{self.image_size}"
                )


def episodes(root: str | Path, split: str) -> Iterator[dict[str, Any]]:
    """The whole episodes of a split in order, decoded as ``decode_episode`` says.

    Raises:
        BadSample: At the first episode that cannot be used.
    """
    manifest = Manifest.load(root, VideoDataModule.made_by.format(root=root))
    found = manifest.splits[split]
    for shard in found.shards:
        for sample in read_members(Path(root) / shard.name):
            yield decode_episode(sample, found.shapes)
