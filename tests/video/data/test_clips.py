import random
from types import SimpleNamespace

import jsonargparse
import numpy as np
import pytest
import torch
from toy_shards import stand_in_trainer

from rlvr_world.video.data.clip_reader import ClipReader
from rlvr_world.video.data.video import VideoDataModule, episodes


def batches(loader):
    found = list(loader)
    assert len(found) == len(loader)
    return found


def module(root, rank=0, world=1, epoch=0, **arguments):
    defaults = {"clip_length": 3, "batch_size": 4, "samples_per_epoch": 24, "shuffle": 16}
    data = VideoDataModule(str(root), **defaults | arguments)
    data.trainer = stand_in_trainer(rank, world, epoch)
    data.setup("fit")
    return data


def keys(loader):
    return [batch["key"] for batch in batches(loader)]


@pytest.mark.parametrize("stride", [1, 2])
def test_clips_hold_the_right_frames_and_actions(make_root, stride):
    data = module(make_root(), stride=stride)
    for loader in (data.train_dataloader(), data.val_dataloader()):
        for batch in batches(loader):
            names = [key.split("-")[1].split(":") for key in batch["key"]]
            number, start = torch.tensor([[int(a), int(b)] for a, b in names]).T
            steps = start[:, None] + stride * torch.arange(3)  # [B, T]
            size = len(names)
            assert batch["frames"].shape == (size, 3, 3, 8, 8)
            assert batch["frames"].dtype == torch.uint8
            assert torch.equal(batch["frames"][:, :, 1, 0, 0].long(), steps)
            assert torch.equal(batch["frames"][:, :, 0, 3, 3].long(), number[:, None].repeat(1, 3))
            assert torch.equal(batch["states"], steps[..., None].repeat(1, 1, 5).float())
            parts = [
                torch.stack([100 * number[:, None] + steps + s, -(steps + s)], -1)
                for s in range(stride)
            ]
            assert torch.equal(batch["actions"], torch.cat(parts, -1).float())
            assert batch["steps"] == [stride] * size
            assert (steps[:, -1] + stride <= 8).all()


def test_token_clips(make_root):
    batch = next(iter(module(make_root(tokens=True)).train_dataloader()))
    assert "frames" not in batch
    assert batch["tokens"].shape == (4, 3, 6)
    assert batch["tokens"].dtype == torch.int64
    assert torch.equal(batch["tokens"][..., 0].float(), batch["actions"][..., 0])
    assert batch["tokenizer"] == ["abc"] * 4


@pytest.mark.parametrize("workers", [0, 2])
def test_training_is_a_function_of_seed_epoch_and_rank(make_root, workers):
    root = make_root()

    def drawn(**arguments):
        return keys(module(root, num_workers=workers, **arguments).train_dataloader())

    first = drawn()
    assert len(first) == 6
    assert drawn() == first
    others = [drawn(epoch=1), drawn(seed=1), drawn(rank=1, world=2)]
    assert all(other != first[: len(other)] for other in others)
    assert len(others[2]) == len(drawn(rank=0, world=2)) == 3


def test_training_reaches_every_clip(make_root):
    data = module(make_root(), samples_per_epoch=1024, batch_size=64)
    seen = [key for batch in keys(data.train_dataloader()) for key in batch]
    assert len(set(seen)) == 8 * 6
    counts = np.unique(seen, return_counts=True)[1]
    assert counts.min() > 0.3 * counts.mean()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_evaluation_reads_each_clip_once(make_root, workers, world):
    root = make_root(val=5)
    seen = []
    for rank in range(world):
        data = module(root, rank, world, num_workers=workers, eval_clips_per_episode=3)
        loaded = keys(data.val_dataloader())
        assert loaded
        seen += [key for batch in loaded for key in batch]
    expected = [f"val-{i:03d}:{start}" for i in range(5) for start in (0, 2, 5)]
    assert sorted(seen) == expected


def test_an_epoch_of_a_small_data_set_begins_without_a_full_buffer(make_root, monkeypatch):
    drawn, draw = [], ClipReader.draw
    monkeypatch.setattr(ClipReader, "draw", lambda *args: drawn.append(1) or draw(*args))
    data = module(make_root(), samples_per_epoch=8, shuffle=10_000, clips_per_episode=1)
    assert len({key for batch in keys(data.train_dataloader()) for key in batch}) > 4
    assert 64 <= len(drawn) < 100  # of 8 samples, and two more for each that is taken


def test_evaluation_is_the_same_again(make_root):
    loader = module(make_root()).val_dataloader()
    assert keys(loader) == keys(loader)


def test_ranks_beyond_the_samples_have_no_batches_and_no_rank_says_how_many(make_root):
    root, seen = make_root(), []
    for rank in range(6):
        loader = module(root, world=6, rank=rank).val_dataloader()
        with pytest.raises(TypeError, match="not known"):
            len(loader)
        seen.append(sum(1 for _ in loader))
    assert seen == [1] * 5 + [0]


def test_whole_episodes_in_order(make_root):
    root = make_root()
    found = list(episodes(root, "train"))
    assert [episode["key"] for episode in found] == [f"train-{i:03d}" for i in range(8)]
    assert found[3]["frames"].shape == (8, 3, 8, 8)
    assert found[3]["json"] == {"episode": 3}


def test_the_seed_asked_for_counts_and_other_data_is_refused(make_root):
    root = make_root()
    data = module(root, seed=7)
    state = data.state_dict()
    again = module(root, seed=1)
    again.trainer.state = SimpleNamespace(fn="fit")
    with pytest.warns(UserWarning, match="the resumed run had seed 7, now 1"):
        again.load_state_dict(state)
    assert again.seed == 1
    with pytest.raises(ValueError, match=r"toy has fingerprint .* resume with the same data"):
        again.load_state_dict(state | {"fingerprint": "other"})
    again.trainer.state.fn = "test"
    again.load_state_dict(state | {"fingerprint": "other"})


def test_fingerprint_follows_the_bytes(make_root):
    first = module(make_root()).fingerprint
    assert module(make_root()).fingerprint == first
    assert module(make_root(train=7)).fingerprint != first


def test_arguments_of_both_classes_reach_the_command_line():
    parser = jsonargparse.ArgumentParser()
    parser.add_class_arguments(VideoDataModule, "data")
    parsed = parser.parse_args(["--data.batch_size", "3", "--data.clip_length", "2"])
    data = parser.instantiate(parsed).data
    assert (data.batch_size, data.cut.keywords["length"]) == (3, 2)
    assert "Frames per clip" in parser.format_help()
    assert "Processes per rank that load" in parser.format_help()


def test_the_same_global_seed_does_not_matter(make_root):
    root = make_root()
    random.seed(0)
    first = keys(module(root).train_dataloader())
    random.seed(1)
    assert keys(module(root).train_dataloader()) == first
