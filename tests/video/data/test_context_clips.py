import numpy as np
import pytest
import torch

from rlvr_world.data.samples import write_shard
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.video import VideoDataModule


def clips_of(root, split="train", **options):
    options = {"clip_length": 3, "batch_size": 4, "samples_per_epoch": 400} | options
    data = VideoDataModule(str(root), **options)
    data.setup("fit")
    loader = data.train_dataloader() if split == "train" else data.val_dataloader()
    batches = list(loader)
    return {
        name: torch.cat([batch[name] for batch in batches])
        for name, value in batches[0].items()
        if isinstance(value, torch.Tensor)
    }


def times(frames):
    """When frames of the toy episodes were, from their second channel."""
    return frames[..., 1, 0, 0].long()


def test_the_context_frame_lies_at_most_the_gap_before_the_clip(make_root):
    clips = clips_of(make_root(), context_gap=2)
    starts, context = times(clips["frames"])[:, 0], times(clips["context"])
    assert clips["context"].shape == (400, 3, 8, 8)
    assert torch.equal(clips["context"][:, 0, 0, 0], clips["frames"][:, 0, 0, 0, 0])
    gaps = starts - context
    assert set(gaps.tolist()) == {0, 1, 2}
    assert (gaps <= starts).all()
    assert set(gaps[starts == 0].tolist()) == {0}
    assert set(gaps[starts == 1].tolist()) == {0, 1}


def test_with_a_stride_the_gap_counts_strides(make_root):
    clips = clips_of(make_root(), context_gap=1, stride=2)
    gaps = times(clips["frames"])[:, 0] - times(clips["context"])
    assert set(gaps.tolist()) == {0, 2}


def test_evaluation_clips_have_the_same_context_each_time(make_root):
    root = make_root()
    first, second = (clips_of(root, "val", context_gap=3) for _ in range(2))
    assert torch.equal(first["context"], second["context"])
    assert len((times(first["frames"])[:, 0] - times(first["context"])).unique()) > 1


def test_frames_of_a_clip_come_in_order_out_of_a_segment(make_root):
    clips = clips_of(make_root(), segment_length=6)
    frames = times(clips["frames"])
    offsets = frames - frames[:, :1]
    assert (offsets.diff(dim=1) > 0).all()
    assert set(offsets[:, 1:].flatten().tolist()) == {1, 2, 3, 4, 5}
    assert set(frames[:, 0].tolist()) == {0, 1, 2}
    assert torch.equal(clips["actions"][..., 1], -frames.float())


def test_a_shorter_episode_is_a_segment_as_a_whole(make_root):
    frames = times(clips_of(make_root(), segment_length=32)["frames"])
    assert set(frames[:, 0].tolist()) == {0}
    assert set(frames[:, 1:].flatten().tolist()) == set(range(1, 8))


def test_without_options_clips_are_what_they_were(make_root):
    clips = clips_of(make_root(), stride=2)
    frames = times(clips["frames"])
    assert (frames.diff(dim=1) == 2).all()
    expected = torch.stack([-frames, -frames - 1], dim=-1).float()
    assert torch.equal(clips["actions"].unflatten(2, (2, 2))[..., 1], expected)
    assert "context" not in clips


def test_context_tokens_come_with_their_tokens(tmp_path):
    members = {
        "tokens.npy": np.arange(18, dtype=np.uint16).reshape(6, 3),
        "context_tokens.npy": np.full((1, 5), 65535, np.uint16),
        "actions.npy": np.zeros((6, 2), np.float32),
        "json": {"tokenizer": "abc"},
    }
    write_shard(tmp_path / "train-000000.tar", [("episode-0000", members)])
    Manifest.build(tmp_path, "tokens", {}).save(tmp_path)
    clips = clips_of(tmp_path, context_gap=3, clip_length=4, samples_per_epoch=8)
    assert clips["tokens"].shape == (8, 4, 3)
    assert clips["context_tokens"].dtype == torch.long
    assert torch.equal(clips["context_tokens"], torch.full((8, 5), 65535))


def test_bad_settings_are_named(make_root):
    with pytest.raises(ValueError, match="segment_length 2 is less than the 3 of clip_length"):
        VideoDataModule("nowhere", clip_length=3, segment_length=2)
    with pytest.raises(ValueError, match="context_gap must be at least 0"):
        VideoDataModule("nowhere", context_gap=-1)
    with pytest.raises(ValueError, match="holds tokens without a context frame"):
        clips_of(make_root(tokens=True), context_gap=1)
