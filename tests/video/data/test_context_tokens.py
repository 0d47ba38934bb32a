import numpy as np
import pytest
import torch
from tiny_walk import Walks, tiny_tokenizer

from rlvr_world.data.samples import write_shard
from rlvr_world.video.codecs.context import ContextVideoCodec
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.tokens import tokens
from rlvr_world.video.data.video import VideoDataModule, episodes

LENGTH, CLIP, GAP, EVERY = 12, 3, 2, 4


@pytest.fixture
def source(tmp_path):
    """A recording of three walks of 12 frames, and an exported tokenizer."""
    walks = Walks(3, LENGTH - 1, 0)
    for split, indices in (("train", (0, 1)), ("val", (2,))):
        samples = []
        for index in indices:
            walk = walks[index]
            frames = torch.cat([walk["context"][None], walk["frames"]]).permute(0, 2, 3, 1)
            actions = walks.moves[index, :, None].numpy().astype(np.float32)
            members = {"frames.png": frames.numpy(), "actions.npy": actions, "json": {}}
            samples.append((f"{split}-{index}", members))
        write_shard(tmp_path / f"walks/{split}-000000.tar", samples)
    Manifest.build(tmp_path / "walks", "walks", {}).save(tmp_path / "walks")
    tiny_tokenizer().export(tmp_path / "tokenizer")
    return tmp_path


def write(source, **options):
    places = (source / "tokenizer", source / "walks", source / "tokens")
    tokens(*places, clip_length=CLIP, context_gap=GAP, context_every=EVERY, device="cpu", **options)
    return source / "tokens"


def test_each_sample_holds_a_context_frame_and_the_frames_that_depend_on_it(source):
    root = write(source)
    model = tiny_tokenizer().eval()
    recorded = {episode["key"]: episode for episode in episodes(source / "walks", "train")}
    written = list(episodes(root, "train"))
    starts = [0, 4, 8, 9]
    assert [each["key"] for each in written] == [
        f"train-{index}-{start:04d}" for index in (0, 1) for start in starts
    ]
    for each in written:
        key, start = each["key"].rsplit("-", 1)
        start = int(start)
        frames = torch.tensor(recorded[key]["frames"][start : start + CLIP + GAP]) / 255
        codes = model.encode(frames[:1], frames[None])
        assert np.array_equal(each["tokens"], codes.frames[0].flatten(1).numpy())
        assert np.array_equal(each["context_tokens"], codes.context.flatten(1).numpy())
        actions = recorded[key]["actions"][start : start + CLIP + GAP]
        assert np.array_equal(each["actions"], actions)
        assert each["json"]["tokenizer"] == model.fingerprint
        assert "frames" not in each
    lengths = [len(each["tokens"]) for each in written]
    assert lengths == [5, 5, 4, 3] * 2
    assert next(iter(episodes(root, "val")))["frames"].shape == (5, 3, 16, 16)


def test_the_pieces_of_an_episode_are_of_one_part(source):
    roots = {str(source / "walks"): {"context_gap": GAP}, str(write(source)): {}}

    def seen(root, **options):
        data = VideoDataModule(root, clip_length=CLIP, samples_per_epoch=64, **options)
        data.setup("fit")
        keys = [key for batch in data.train_dataloader() for key in batch["key"]]
        return {key.partition(":")[0][: len("train-0")] for key in keys}

    parts = [(0, 0.7), (0.7, 1)]
    by_root = [[seen(root, part=part, **more) for part in parts] for root, more in roots.items()]
    assert by_root[0] == by_root[1] == [{"train-1"}, {"train-0"}]


def test_a_codec_reads_them_as_it_reads_frames(source):
    data = VideoDataModule(str(write(source)), clip_length=CLIP, eval_clips_per_episode=2)
    data.setup("validate")
    batch = next(iter(data.val_dataloader()))
    assert set(batch) >= {"tokens", "context_tokens", "frames", "tokenizer"}
    codec = ContextVideoCodec(source / "tokenizer", [-1], [1], action_bins=3)
    sequence = codec.encode(batch)
    assert sequence.ids.shape == (7, 16 + 3 * 4 + 2)
    recorded = next(iter(episodes(source / "walks", "val")))["frames"]
    context = torch.tensor(recorded[[0, 0, 4, 4, 8, 8, 9]])
    pixels = {name: batch[name] for name in ("frames", "actions", "key")}
    assert torch.equal(codec.encode(pixels | {"context": context}).ids, sequence.ids)


def test_other_windows_need_another_folder(source):
    write(source)
    with pytest.raises(ValueError, match="was made with clip_length 3, not 8"):
        tokens(
            source / "tokenizer", source / "walks", source / "tokens", context_gap=8, device="cpu"
        )


def test_short_episodes_become_one_sample(source):
    places = (source / "tokenizer", source / "walks", source / "tokens")
    tokens(*places, clip_length=16, device="cpu")
    assert [len(each["tokens"]) for each in episodes(source / "tokens", "train")] == [12, 12]
