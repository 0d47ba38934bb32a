from types import SimpleNamespace

import numpy as np
import pytest

from rlvr_world.data.samples import write_shard
from rlvr_world.video.data.manifest import Manifest

LENGTH = 8


def toy_sample(split, index, length=LENGTH, tokens=False):
    """An episode whose every number says which episode and which frame it belongs to."""
    time = np.arange(length)
    members = {}
    if tokens:
        members["tokens.npy"] = (100 * index + time[:, None] + np.zeros((1, 6))).astype(np.uint16)
    else:
        frames = np.zeros((length, 8, 8, 3), np.uint8)
        frames[..., 0], frames[..., 1] = index % 256, time[:, None, None]
        members["frames.png"] = frames
    members["actions.npy"] = np.stack([100 * index + time, -time], 1).astype(np.float32)
    members["states.npy"] = np.stack([time] * 5, 1).astype(np.float32)
    members["json"] = {"episode": index} | ({"tokenizer": "abc"} if tokens else {})
    return f"{split}-{index:03d}", members


def stand_in_trainer(rank=0, world=1, epoch=0):
    """What a data module asks of a trainer that is about to begin an epoch."""
    batches = SimpleNamespace(current=SimpleNamespace(ready=0))
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=batches))
    return SimpleNamespace(global_rank=rank, world_size=world, current_epoch=epoch, fit_loop=loop)


@pytest.fixture
def make_root(tmp_path):
    def make(train=8, val=5, test=0, per_shard=2, change=None, **sample):
        root = tmp_path / "toy"
        for split, count in {"train": train, "val": val, "test": test}.items():
            samples = [toy_sample(split, index, **sample) for index in range(count)]
            for number, first in enumerate(range(0, count, per_shard)):
                part = samples[first : first + per_shard]
                write_shard(root / f"{split}-{number:06d}.tar", part)
        Manifest.build(root, "toy", {}).save(root)
        edits = {(split, index): edit for split, index, edit in change or []}
        for split, number in {(split, index // per_shard) for split, index in edits}:
            first = number * per_shard
            part = [toy_sample(split, i, **sample) for i in range(first, first + per_shard)]
            for index, (_, members) in enumerate(part, first):
                edits.get((split, index), lambda members: None)(members)
            write_shard(root / f"{split}-{number:06d}.tar", part)
        return root

    return make
