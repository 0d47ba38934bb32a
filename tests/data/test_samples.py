import io

import numpy as np
import pytest

from rlvr_world.data.manifest import read_members
from rlvr_world.data.samples import BadSample, decode_episode, encode, write_shard


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
