"""A recording of ours becomes a LeRobot data set that LeRobot and we ourselves read the same."""

import json

import numpy as np
import pytest
import robot_data
from robot_data import TOP

from rlvr_world.cli import main
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.video import episodes
from rlvr_world.video.sources import lerobot_export

pytest.importorskip("pyarrow", reason="pyarrow is not installed")


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recording")
    robot_data.write_zarr(folder / "in.zarr", robot_data.record(folder / "pusht"))
    shares = ["--val_share=0.2", "--test_share=0.2", "--processes=1"]
    main(["data", "zarr", str(folder / "in.zarr"), "--root", str(folder / "mine"), *shares])
    return folder / "mine"


@pytest.fixture
def exported(recording, tmp_path, monkeypatch):
    monkeypatch.setattr(lerobot_export, "FILE_MB", 0)  # a file for each episode
    main(["data", "to-lerobot", str(recording), str(tmp_path / "out"), "--task", "Push the T"])
    return tmp_path / "out"


def test_our_own_reader_gives_back_the_same_episodes_and_splits(recording, exported, tmp_path):
    options = ["--split_by=file", "--image_format=png", "--processes=1"]
    main(["data", "lerobot", str(exported), "--root", str(tmp_path / "back"), *options])
    ours, back = Manifest.load(recording), Manifest.load(tmp_path / "back")
    assert ours.splits.keys() == back.splits.keys() == {"train", "val", "test"}
    for split in ours.splits:
        pairs = zip(episodes(recording, split), episodes(tmp_path / "back", split), strict=True)
        for one, other in pairs:
            for name in ("frames", "actions", "states"):
                np.testing.assert_array_equal(one[name], other[name])
    assert len(list(exported.rglob("data/*/*.parquet"))) == 6


def test_statistics_are_those_of_all_frames(recording, exported):
    stats = json.loads((exported / "meta/stats.json").read_text())
    whole = [
        each for split in Manifest.load(recording).splits for each in episodes(recording, split)
    ]
    actions = np.concatenate([each["actions"] for each in whole])
    pixels = np.concatenate([each["frames"] for each in whole]) / 255
    np.testing.assert_allclose(stats["action"]["std"], actions.std(0), rtol=1e-4)
    np.testing.assert_allclose(stats["action"]["q90"], np.quantile(actions, 0.9, axis=0), rtol=1e-4)
    for name in ("mean", "std", "min", "max"):
        right = getattr(pixels, name)(axis=(0, 2, 3), keepdims=True)[0]
        np.testing.assert_allclose(stats[TOP][name], right, rtol=1e-4)
    median = np.quantile(pixels, 0.5, axis=(0, 2, 3))
    np.testing.assert_allclose(np.ravel(stats[TOP]["q50"]), median, atol=1 / 255)
    assert stats[TOP]["count"] == stats["index"]["count"] == [len(actions)]


def test_lerobot_opens_it(recording, exported):
    module = pytest.importorskip(
        "lerobot.datasets.lerobot_dataset", reason="lerobot is not installed"
    )
    data = module.LeRobotDataset("me/exported", root=exported)
    whole = [
        each for split in Manifest.load(recording).splits for each in episodes(recording, split)
    ]
    assert (data.num_episodes, data.fps) == (len(whole), 10)
    rows = [(number, t) for number, each in enumerate(whole) for t in range(len(each["actions"]))]
    assert len(data) == len(rows)
    for index in (0, 8, 9, len(rows) - 1):
        number, t = rows[index]
        item = data[index]
        assert item["task"] == "Push the T"
        assert (item["episode_index"], item["frame_index"]) == (number, t)
        np.testing.assert_array_equal(item["action"].numpy(), whole[number]["actions"][t])
        np.testing.assert_array_equal((item[TOP].numpy() * 255).round(), whole[number]["frames"][t])


def test_what_is_no_recording_is_one_sentence(recording, tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        main(["data", "to-lerobot", str(tmp_path), str(tmp_path / "out")])
    with pytest.raises(ValueError, match="fps of 1 or more"):
        main(["data", "to-lerobot", str(recording), str(tmp_path / "out"), "--fps", "0"])
    assert not (tmp_path / "out").exists()
