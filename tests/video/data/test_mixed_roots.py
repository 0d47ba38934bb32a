"""Several folders of shards as one data set."""

import shutil
from collections import Counter

import pytest
from test_clips import module

from rlvr_world.video.data.manifest import Manifest


@pytest.fixture
def two_roots(make_root, tmp_path):
    """A large folder with episodes 0 to 7 and a small one with episode 0 only."""
    small = shutil.move(make_root(train=1, val=2, per_shard=1), tmp_path / "small")
    return make_root(train=8, val=5), small


def test_training_takes_from_all_folders_alike(two_roots):
    large, small = two_roots
    options = {"samples_per_epoch": 800, "batch_size": 8}
    mixed = module(large, more_roots=[str(small)], **options)
    keys = Counter(key.split(":")[0] for batch in mixed.train_dataloader() for key in batch["key"])
    assert set(keys) == {f"train-{index:03d}" for index in range(8)}
    assert 0.45 < keys["train-000"] / 800 < 0.7  # 1/2 + 1/16 of the clips
    alone = module(large, **options)
    keys = Counter(key.split(":")[0] for batch in alone.train_dataloader() for key in batch["key"])
    assert keys["train-000"] / 800 < 0.3


def test_validation_reads_every_folder_once(two_roots):
    large, small = two_roots

    def clips(*roots):
        data = module(roots[0], more_roots=[str(root) for root in roots[1:]])
        found = [key for batch in data.val_dataloader() for key in batch["key"]]
        assert sum(len(batch["key"]) for batch in data.val_dataloader()) == len(found)
        return Counter(found)

    assert clips(large, small) == clips(large) + clips(small)


def test_the_fingerprint_is_that_of_all_folders(two_roots):
    large, small = two_roots
    first, second = (module(root).fingerprint for root in two_roots)
    mixed = module(large, more_roots=[str(small)]).fingerprint
    assert first == Manifest.load(large).fingerprint
    assert len({first, second, mixed}) == 3
    assert mixed != module(small, more_roots=[str(large)]).fingerprint


def test_folders_of_other_shapes_are_named(make_root, tmp_path):
    tokens = shutil.move(make_root(tokens=True), tmp_path / "tokens")
    with pytest.raises(ValueError, match=r"tokens cannot be mixed with .*toy: a step of its"):
        module(make_root(), more_roots=[str(tokens)])
    with pytest.raises(FileNotFoundError, match=r"nowhere.manifest\.json does not exist"):
        module(make_root(), more_roots=[str(tmp_path / "nowhere")])
