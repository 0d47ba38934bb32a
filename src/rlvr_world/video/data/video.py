"""Clips of video with actions, from frames or from tokens."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

from braceexpand import braceexpand

from rlvr_world.data.loader import ShardLoader
from rlvr_world.data.manifest import fingerprint
from rlvr_world.data.samples import read_members
from rlvr_world.data.shard_file import ShardFile
from rlvr_world.data.shards import ShardDataModule
from rlvr_world.data.stream import MixedStream, TrainingStream
from rlvr_world.video.data.clip_reader import ClipReader, EvalStarts
from rlvr_world.video.data.color_jitter import ColorJitter
from rlvr_world.video.data.episodes import decode_episode
from rlvr_world.video.data.manifest import Manifest, Split


class VideoDataModule(ShardDataModule):
    """Clips of video with actions.

    A batch holds ``frames`` uint8 [B, T, 3, H, W], or ``tokens`` long [B, T, N] with the
    fingerprints of their ``tokenizer``; ``actions`` float32 [B, T, A * stride], of which step t
    holds all actions between frame t and frame t + 1, and ``steps``, B times their number, which is
    the stride; ``states`` float32 [B, T, S] where there are
    any; and ``key``, the episode and the first frame of each clip. With ``context_gap`` it also
    holds ``context`` uint8 [B, 3, H, W]; tokens that depend on a context frame come with
    ``context_tokens`` long [B, N].

    Args:
        root: Folder with the shards and their ``manifest.json``, or its URL; a pattern such as
            ``data/set-{0..3}`` or ``https://host/{a,b}`` stands for several, of which all but the
            first count as ``more_roots``.
        clip_length: Frames per clip.
        stride: A clip takes every ``stride``-th frame.
        clips_per_episode: Clips that training takes of an episode each time it decodes one.
        eval_clips_per_episode: Clips of each episode for validation and test.
        eval_starts: Where these start: ``even`` spreads them from the first to the last possible
            frame, one alone starting at the first, and skips shorter episodes; ``seeded`` draws
            start and context frame as the original does, by the number of the episode in its split,
            and lets a shorter episode repeat its last frame and action.
        image_size: The height and width that frames must have, if given.
        segment_length: Draw the frames of a clip out of so many frames (at the stride), or all of a
            shorter episode: the first one, and others in order. They are consecutive if not given.
            For tokenizers.
        context_gap: Add a context frame: one of the so many frames (at the stride) before the clip
            or its first frame, at random.
        jitter: Change the colours of training clips at random; needs frames, not tokens.
        test_split: The split to test on: ``test``, or one with other actions, such as
            ``test_counterfactual``, where there is one.
        more_roots: Further folders with frames or tokens, actions and states of the same size.
            Each training clip comes from any of the folders alike, whatever their sizes; validation
            and test read all of them.
        **shards: See ``ShardDataModule``.
    """

    manifest_type = Manifest
    made_by = "rlvr-world data pusht --root {root}` or `rlvr-world data metaworld --root {root}"

    def __init__(
        self,
        root: str = "data/pusht",
        clip_length: int = 5,
        stride: int = 1,
        clips_per_episode: int = 4,
        eval_clips_per_episode: int = 4,
        eval_starts: EvalStarts = "even",
        image_size: int | None = None,
        segment_length: int | None = None,
        context_gap: int | None = None,
        jitter: ColorJitter | None = None,
        test_split: str = "test",
        more_roots: Sequence[str] = (),
        **shards: Any,
    ) -> None:
        roots = [each for given in (root, *more_roots) for each in expanded(given)]
        super().__init__(root=roots[0], **shards)
        self.roots = [self.folder(each) for each in roots]
        counts = {
            "clip_length": clip_length,
            "stride": stride,
            "clips_per_episode": clips_per_episode,
            "eval_clips_per_episode": eval_clips_per_episode,
        }
        for name, value in counts.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if segment_length is not None and segment_length < clip_length:
            raise ValueError(
                f"segment_length {segment_length} is less than the {clip_length} of clip_length"
            )
        if context_gap is not None and context_gap < 0:
            raise ValueError(f"context_gap must be at least 0, got {context_gap}")
        self.cut = partial(
            ClipReader,
            length=clip_length,
            stride=stride,
            clips_per_episode=clips_per_episode,
            eval_clips_per_episode=eval_clips_per_episode,
            eval_starts=eval_starts,
            segment_length=segment_length,
            context_gap=context_gap,
            jitter=jitter,
        )
        self.jitter = jitter
        self.needs_context = context_gap is not None
        self.image_size = image_size
        self.test_split = test_split

    def reader(self, split: str) -> ClipReader:
        shapes = self.splits(split)[0][1].shapes
        if self.jitter and split == "train" and "frames" not in shapes:
            raise ValueError(f"jitter: {self.root} holds tokens, without colours; leave it out")
        return self.cut(shapes)

    def splits(self, split: str) -> list[tuple[Path, Split]]:
        """The folders that have a split, and what each holds of it."""
        pairs = zip(self.roots, self.manifests, strict=True)
        return [(root, there.splits[split]) for root, there in pairs if split in there.splits]

    def shard_groups(self, split: str) -> list[list[ShardFile]]:
        return [
            [self.file(root, shard) for shard in there.shards] for root, there in self.splits(split)
        ]

    def shards(self, split: str) -> list[ShardFile]:
        return list(chain.from_iterable(self.shard_groups(split)))

    def lengths(self, split: str) -> dict[int, int]:
        total: Counter[int] = Counter()
        for _, there in self.splits(split):
            total.update(there.lengths)
        return dict(total)

    def training_stream(self, **stream: Any) -> TrainingStream:
        groups = [(shards, 1.0) for shards in self.shard_groups("train") if shards]
        return MixedStream(groups=groups, **stream) if groups[1:] else TrainingStream(**stream)

    @cached_property
    def manifests(self) -> list[Manifest]:
        roots = [self.fetched(root, "manifest.json") for root in self.roots]
        return [Manifest.load(root, self.made_by.format(root=root)) for root in roots]

    @cached_property
    def manifest(self) -> Manifest:
        return self.manifests[0]

    @property
    def fingerprint(self) -> str:
        """Identifies the data of all folders, down to the bytes; that of the only one as it is."""
        prints = {str(n): manifest.fingerprint for n, manifest in enumerate(self.manifests)}
        return fingerprint(prints) if len(prints) > 1 else prints["0"]

    def setup(self, stage: str) -> None:
        super().setup(stage)
        for name in self.manifest.splits:
            (_, first), *others = self.splits(name)
            for root, there in others:
                self._check_alike(name, first, root, there)
            self._check_shapes(first)

    def _check_alike(self, name: str, first: Split, root: Path, there: Split) -> None:
        for key in first.shapes | there.shapes:
            expected, shape = first.shapes.get(key), there.shapes.get(key)
            if expected != shape:
                raise ValueError(
                    f"{root} cannot be mixed with {self.root}: a step of its {key} in {name} has "
                    f"the shape {shape}, not {expected}"
                )

    def _check_shapes(self, split: Split) -> None:
        if self.needs_context and not {"frames", "context_tokens"} & split.shapes.keys():
            raise ValueError(
                f"{self.root} holds tokens without a context frame: write the tokens of a "
                "compressive tokenizer (rlvr-world data tokens), or leave context_gap out"
            )
        size = self.image_size
        if size is not None and split.shapes.get("frames", (size, size))[:2] != (size, size):
            height, width, _ = split.shapes["frames"]
            raise ValueError(
                f"{self.root} holds frames of {height} x {width}, but image_size is {size}"
            )

    def test_dataloader(self) -> ShardLoader:
        return self.once(self.test_split)

    def predict_dataloader(self) -> ShardLoader:
        return self.once(self.test_split)


def expanded(root: str) -> list[str]:
    """The folders that a pattern in braces stands for; a ``pipe:`` command is none."""
    return [root] if root.startswith("pipe:") else list(braceexpand(root))


def episodes(root: str | Path, split: str) -> Iterator[dict[str, Any]]:
    """The whole episodes of a split in order, decoded; raises ``BadSample`` at a bad one."""
    manifest = Manifest.load(root, VideoDataModule.made_by.format(root=root))
    for shard in manifest.splits[split].shards:
        for sample in read_members(Path(root) / shard.name):
            yield decode_episode(sample, manifest.splits[split].shapes)
