import bz2
import gzip
import lzma
import warnings

import numpy as np
import pytest

from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.video import VideoDataModule


def module(root, **arguments):
    defaults = {"clip_length": 3, "batch_size": 4, "samples_per_epoch": 24, "max_skip_share": 0.5}
    data = VideoDataModule(str(root), **defaults | arguments)
    data.setup("fit")
    return data


def without_actions(members):
    del members["actions.npy"]


def with_nan(members):
    members["actions.npy"][2, 1] = np.nan


def with_small_frames(members):
    members["frames.png"] = members["frames.png"][:, :7]


def cut_short(members):
    for name in ("frames.png", "actions.npy", "states.npy"):
        members[name] = members[name][:2]


@pytest.mark.parametrize(
    ("edit", "message", "workers"),
    [
        (without_actions, "val-000000.tar: val-001 has no actions", 0),
        (with_nan, "val-000000.tar: val-001: actions holds NaN", 0),
        (with_nan, "val-000000.tar: val-001: actions holds NaN", 2),
        (with_small_frames, r"val-001: frames has shape \(7, 8, 3\) per step, expected", 0),
        (cut_short, "val-001 has 2 frames, but a clip of 3 at stride 1 needs 3", 0),
    ],
)
def test_a_bad_sample_is_skipped_counted_and_reported(make_root, edit, message, workers):
    data = module(make_root(val=4, change=[("val", 1, edit)]), num_workers=workers)
    loader = data.val_dataloader()
    for _ in range(2):
        with pytest.warns(UserWarning, match=f"val: 1 of 4 samples had to be skipped: .*{message}"):
            names = {key.split(":")[0] for batch in loader for key in batch["key"]}
        assert names == {"val-000", "val-002", "val-003"}
        assert (data.skipped["val"].skipped, data.skipped["val"].read) == (1, 4)


@pytest.mark.parametrize("keep", [0.0, 0.6, 0.97])
def test_a_truncated_shard_is_skipped_counted_and_reported(make_root, keep):
    root = make_root(val=6, per_shard=3)
    shard = root / "val-000001.tar"
    content = shard.read_bytes().rstrip(b"\0")
    shard.write_bytes(content[: int(keep * len(content))])
    data = module(root)
    with pytest.warns(UserWarning, match=r"val: \d of 6 samples .*val-000001.tar"):
        names = {key.split(":")[0] for batch in data.val_dataloader() for key in batch["key"]}
    assert names >= {"val-000", "val-001", "val-002"}
    assert data.skipped["val"].skipped == 6 - len(names) > 0


def test_a_missing_shard_is_reported(make_root):
    root = make_root(val=6, per_shard=3)
    (root / "val-000001.tar").unlink()
    with pytest.warns(UserWarning, match=r"3 of 6 samples .*val-000001.tar cannot be read"):
        list(module(root).val_dataloader())


@pytest.mark.parametrize(
    ("program", "pack"),
    [
        ("gzip", gzip.compress),
        ("bzip2", bz2.compress),
        ("xz", lzma.compress),
        ("zstd", lambda tar: b"\x28\xb5\x2f\xfd" + tar),
    ],
)
def test_packed_shards_are_refused_by_name(make_root, program, pack):
    root = make_root(val=6, per_shard=3)
    shards = sorted(root.glob("val-*.tar"))
    for shard in shards:
        shard.write_bytes(pack(shard.read_bytes()))
    with pytest.raises(ValueError, match=rf"{shards[0]} .*packed by {program}; unpack it, shards"):
        list(module(root).val_dataloader())
    for shard in shards:
        shard.rename(shard.with_suffix(".tar.gz"))
    with pytest.raises(FileNotFoundError, match=r"no shards: tars, not packed, named like val-0"):
        Manifest.build(root, "packed", {}, splits=["val"])


def test_good_data_gives_no_warning(make_root):
    data = module(make_root(val=6))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(data.val_dataloader())
        list(data.train_dataloader())
    assert data.skipped["train"].skipped == data.skipped["val"].skipped == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_too_many_bad_samples_stop_the_run(make_root, workers):
    changes = [("train", i, with_nan) for i in (1, 2, 5)]
    data = module(make_root(change=changes), max_skip_share=0.2, num_workers=workers)
    message = r"train: \d of \d+ samples had to be skipped: .*train-00\d: actions holds NaN.*0.2"
    loader = data.train_dataloader()
    with pytest.raises(ValueError, match=message) as caught:
        [list(loader) for _ in range(3)]
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 2])
def test_nothing_but_bad_samples_does_not_hang(make_root, workers):
    changes = [("train", i, without_actions) for i in range(8)]
    data = module(make_root(change=changes), num_workers=workers)
    with pytest.raises(ValueError, match=r"train-00. has no actions"):
        list(data.train_dataloader())


def test_no_data_names_the_command(tmp_path):
    root = tmp_path / "nothing"
    with pytest.raises(FileNotFoundError, match=f"rlvr-world data pusht --root {root}"):
        module(root)


def test_an_empty_split_names_the_command(make_root):
    root = make_root(test=0)
    with pytest.raises(ValueError, match=f"split test: .*rlvr-world data pusht --root {root}"):
        module(root).test_dataloader()


def test_a_broken_manifest_is_named(make_root):
    root = make_root()
    (root / "manifest.json").write_text('{"source": 1')
    with pytest.raises(ValueError, match=r"manifest.json is not a manifest"):
        module(root)


def test_frames_of_an_unexpected_size(make_root):
    with pytest.raises(ValueError, match="holds frames of 8 x 8, but image_size is 64"):
        module(make_root(), image_size=64)


def test_tokens_without_their_tokenizer(make_root):
    root = make_root(tokens=True, val=2, change=[("val", 0, lambda m: m.update(json={}))])
    with pytest.warns(UserWarning, match="val-000 does not name its tokenizer"):
        list(module(root).val_dataloader())


def test_an_epoch_needs_a_batch(make_root):
    with pytest.raises(ValueError, match="samples_per_epoch 3 is less than one batch of 4"):
        module(make_root(), samples_per_epoch=3).train_dataloader()
    with pytest.raises(ValueError, match="stride must be at least 1"):
        VideoDataModule("x", stride=0)
