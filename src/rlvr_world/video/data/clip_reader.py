"""Cuts clips out of episodes of video."""

import random
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from rlvr_world.data.example_reader import Example, ExampleReader
from rlvr_world.data.samples import BadSample, RawSample
from rlvr_world.types import Batch
from rlvr_world.video.data.color_jitter import ColorJitter
from rlvr_world.video.data.episodes import Shapes, decode_episode

TIMED = {"frames", "tokens", "states", "actions"}
EvalStarts = Literal["even", "seeded"]


@dataclass(frozen=True)
class ClipReader(ExampleReader):
    """Cuts clips out of episodes with arrays of ``shapes``; the rest as in ``VideoDataModule``."""

    shapes: Shapes
    length: int
    stride: int
    clips_per_episode: int
    eval_clips_per_episode: int
    segment_length: int | None = None
    context_gap: int | None = None
    jitter: ColorJitter | None = None
    eval_starts: EvalStarts = "even"

    def segment(self, frames: int) -> int:
        """Frames at the stride out of which a clip is drawn; at most a whole episode."""
        return max(self.length, min(self.segment_length or self.length, frames // self.stride))

    def draw(self, sample: RawSample, rng: random.Random) -> list[Example]:
        episode = self._episode(sample)
        frames = len(episode["actions"])
        starts = range(frames - self.segment(frames) * self.stride + 1)
        clips = [self._cut(episode, rng.choice(starts), rng) for _ in range(self.clips_per_episode)]
        return [self._jittered(clip, rng) for clip in clips]

    def source(self, sample: RawSample) -> str:
        """The key of the episode, of which tokens with their context frame are a piece."""
        key = super().source(sample)
        return key.rpartition("-")[0] or key if "context_tokens.npy" in sample else key

    def spread(self, sample: RawSample) -> list[Example]:
        if self.eval_starts == "seeded":
            return self._seeded(self._episode(sample, repeats=True), sample["__index__"])
        episode = self._episode(sample)
        starts = self.starts(len(episode["actions"]))
        return [self._cut(episode, at, random.Random(f"{episode['key']} {at}")) for at in starts]

    def _seeded(self, episode: dict[str, Any], index: int) -> list[Example]:
        """The clips that the original evaluates on: the episode's number is the seed of NumPy."""
        frames, clips = len(episode["actions"]), []
        draws = np.random.RandomState(index)
        last = frames - self.segment(frames) * self.stride
        for _ in range(self.eval_clips_per_episode):
            start, gap = int(draws.randint(last + 1)), 0
            if self.context_gap is not None:
                before = min(self.context_gap, start // self.stride)
                gap = before - int(draws.randint(before + 1))
            rng = random.Random(f"{episode['key']} {start}")
            clips.append(self._cut(episode, start, rng, gap))
        return clips

    def count(self, length: int) -> int:
        if self.eval_starts == "seeded":
            return self.eval_clips_per_episode
        return len(self.starts(length))

    def starts(self, frames: int) -> list[int]:
        """Where the evaluation clips of an episode start."""
        length = self.segment(frames) * self.stride
        return clip_starts(frames, length, self.eval_clips_per_episode)

    def collate(self, examples: list[Example]) -> Batch:
        first = examples[0]
        return {
            name: [example[name] for example in examples]
            if isinstance(value, str | int)
            else torch.from_numpy(np.stack([example[name] for example in examples]))
            for name, value in first.items()
        }

    def _episode(self, sample: RawSample, repeats: bool = False) -> dict[str, Any]:
        """An episode, which repeats its last step, if that is asked, up to the length of a clip."""
        episode = decode_episode(sample, self.shapes)
        frames, needed = len(episode["actions"]), self.length * self.stride
        if frames < needed and repeats:
            steps = np.minimum(np.arange(needed), frames - 1)
            episode |= {name: episode[name][steps] for name in TIMED & episode.keys()}
        elif frames < needed:
            raise BadSample(
                f"{sample['__url__']}: {sample['__key__']} has {frames} frames, but a clip of "
                f"{self.length} at stride {self.stride} needs {needed}"
            )
        if "tokens" in episode and "tokenizer" not in episode["json"]:
            raise BadSample(f"{sample['__url__']}: {sample['__key__']} does not name its tokenizer")
        return episode

    def _cut(
        self, episode: dict[str, Any], start: int, rng: random.Random, gap: int | None = None
    ) -> Example:
        """The clip [T, ...] that starts at a frame; its actions are [T, A * stride].

        ``gap`` is how many strides before it the context frame lies, drawn if not given.
        """
        offsets = self.offsets(self.segment(len(episode["actions"])), rng)
        places = start + self.stride * np.array(offsets)
        clip: Example = {
            name: episode[name][places]
            for name in ("frames", "tokens", "states")
            if name in episode
        }
        steps = places[:, None] + np.arange(self.stride)
        clip["actions"] = episode["actions"][steps].reshape(self.length, -1)
        clip["steps"] = self.stride
        clip["key"] = f"{episode['key']}:{start}"
        if "tokens" in episode:
            clip["tokenizer"] = episode["json"]["tokenizer"]
        if "context_tokens" in episode:
            clip["context_tokens"] = episode["context_tokens"][0]
        elif self.context_gap is not None:
            if gap is None:
                gap = rng.randint(0, min(self.context_gap, start // self.stride))
            clip["context"] = episode["frames"][start - gap * self.stride]
        return clip

    def _jittered(self, clip: Example, rng: random.Random) -> Example:
        """The clip in other colours, its context frame alike."""
        if self.jitter is None:
            return clip
        if "context" not in clip:
            return clip | {"frames": self.jitter(clip["frames"], rng)}
        changed = self.jitter(np.stack([clip["context"], *clip["frames"]]), rng)
        return clip | {"context": changed[0], "frames": changed[1:]}

    def offsets(self, segment: int, rng: random.Random) -> list[int]:
        """Where the frames of a clip lie, in strides after its first one, the segment's first."""
        if self.segment_length is None:
            return list(range(self.length))
        return [0, *sorted(rng.sample(range(1, segment), self.length - 1))]


def clip_starts(frames: int, length: int, clips: int) -> list[int]:
    """Where clips start that are spread evenly over an episode; none if it is too short."""
    if frames < length:
        return []
    return np.unique(np.linspace(0, frames - length, clips).round().astype(int)).tolist()
