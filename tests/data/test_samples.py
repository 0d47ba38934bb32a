import io

import numpy as np
import pytest
from PIL import Image

from rlvr_world.data.samples import BadSample, encode, read_members, write_shard
from rlvr_world.video.data.episodes import decode_episode, jpeg_members


def raw(**members):
    """A sample as WebDataset reads it; underscores stand for dots."""
    files = {name.replace("_", "."): value for name, value in members.items()}
    files.setdefault("json", {})
    encoded = {n: v if isinstance(v, bytes) else encode(n, v) for n, v in files.items()}
    return {"__key__": "k7", "__url__": "shard.tar", **encoded}


def frames(length=3):
    return np.arange(length * 4 * 5 * 3, dtype=np.uint8).reshape(length, 4, 5, 3)


ACTIONS = np.ones((3, 2), np.float32)
SHAPES = {"frames": (4, 5, 3), "actions": (2,)}


@pytest.mark.parametrize("kind", ["frames_png", "frames_npy"])
def test_frames_survive(kind):
    episode = decode_episode(raw(**{kind: frames()}, actions_npy=ACTIONS, json={"a": 1}), SHAPES)
    np.testing.assert_array_equal(episode["frames"], frames().transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(episode["actions"], ACTIONS)
    assert episode["key"] == "k7"
    assert episode["json"] == {"a": 1}


def plain_frames(length=3):
    """Frames of one colour each, which JPEG keeps."""
    levels = np.arange(length, dtype=np.uint8).reshape(length, 1, 1, 1) * 40 + 20
    return np.broadcast_to(levels, (length, 4, 5, 3)).copy()


def test_jpeg_frames_are_read_in_order(tmp_path):
    members = {"actions.npy": np.ones((12, 2), np.float32), "json": {}}
    frames = plain_frames(6).repeat(2, axis=0)
    write_shard(tmp_path / "a.tar", [("k", members | jpeg_members(frames))])
    (sample,) = read_members(tmp_path / "a.tar")
    episode = decode_episode(sample, SHAPES)
    assert episode["frames"].shape == (12, 3, 4, 5)
    gap = episode["frames"].transpose(0, 2, 3, 1).astype(int) - frames
    assert abs(gap).max() <= 2


def test_jpeg_files_stay_as_they_are():
    buffer = io.BytesIO()
    Image.fromarray(frames(1)[0]).save(buffer, "JPEG", quality=30)
    (name, content), *_ = jpeg_members([buffer.getvalue()] * 3).items()
    assert name == "frames.0000.jpg"
    assert encode(name, content) == buffer.getvalue()


def test_arrays_that_are_not_wanted_are_not_read():
    sample = raw(frames_0000_jpg=b"no picture", actions_npy=ACTIONS)
    assert "frames" not in decode_episode(sample, {"actions": (2,)})


JPEG = encode("jpg", plain_frames(1)[0])


def test_tokens_become_long():
    sample = raw(tokens_npy=np.full((3, 6), 65535, np.uint16), actions_npy=ACTIONS)
    tokens = decode_episode(sample)["tokens"]
    assert tokens.dtype == np.int64
    assert (tokens == 65535).all()


def pickled():
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"frames_png": frames()}, "shard.tar: k7 has no actions"),
        ({"actions_npy": ACTIONS}, "shard.tar: k7 has no frames"),
        (
            {"frames_png": frames(), "actions_npy": ACTIONS * np.nan},
            "shard.tar: k7: actions holds NaN",
        ),
        (
            {"frames_png": frames()[:, :, :4], "actions_npy": ACTIONS},
            r"k7: frames has shape \(4, 4, 3\) per step, expected \(4, 5, 3\)",
        ),
        ({"frames_png": frames(5), "actions_npy": ACTIONS}, "k7: frames.png is 20 high"),
        ({"frames_npy": frames(5), "actions_npy": ACTIONS}, "k7: frames has 5 time steps"),
        ({"frames_png": b"\x89PNG", "actions_npy": ACTIONS}, "k7: a file is broken"),
        ({"frames_png": frames(), "actions_npy": pickled()}, "k7: a file is broken"),
        ({"frames_png": frames(), "actions_npy": ACTIONS, "json": b"{"}, "k7: a file is broken"),
        (
            {"frames_png": encode("png", frames() ** 2)[:90], "actions_npy": ACTIONS},
            "k7: a file is broken",
        ),
        ({"frames_png": frames(), "actions_npy": np.float32(1)}, r"k7: actions has shape \(\)"),
        (
            {"frames_0000_jpg": JPEG, "frames_0002_jpg": JPEG, "actions_npy": ACTIONS},
            "shard.tar: k7 has 2 JPEG frames but no frames.0001.jpg",
        ),
        ({"frames_0000_jpg": JPEG, "actions_npy": ACTIONS}, "k7: frames has 1 time steps"),
        ({"frames_0000_jpg": JPEG[:-9], "actions_npy": ACTIONS}, "k7: a file is broken"),
    ],
)
def test_bad_samples_name_shard_and_key(members, message):
    with pytest.raises(BadSample, match=message):
        decode_episode(raw(**members), SHAPES)


def test_a_sample_needs_its_json():
    sample = raw(frames_png=frames(), actions_npy=ACTIONS)
    del sample["json"]
    with pytest.raises(BadSample, match=r"shard.tar: k7 has no json"):
        decode_episode(sample, SHAPES)


def test_shards_are_deterministic_and_whole_or_not_there(tmp_path):
    samples = [(f"k{i}", {"actions.npy": ACTIONS * i, "json": {"i": i}}) for i in range(3)]
    write_shard(tmp_path / "a.tar", samples)
    write_shard(tmp_path / "b.tar", iter(samples))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert [m["__key__"] for m in read_members(tmp_path / "a.tar")] == ["k0", "k1", "k2"]

    def failing():
        yield samples[0]
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_shard(tmp_path / "c.tar", failing())
    assert not (tmp_path / "c.tar").exists()
