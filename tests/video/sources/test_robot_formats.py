"""The same episodes of the simulator come out of each format that users of robots hold."""

import json
import shutil
import sys

import numpy as np
import pytest
import robot_data
from robot_data import SIDE, TOP

from rlvr_world.cli import main
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.video import episodes
from rlvr_world.video.sources.hdf5 import HDF5Converter
from rlvr_world.video.sources.lerobot import LeRobotConverter
from rlvr_world.video.sources.videos import VideosConverter
from rlvr_world.video.sources.zarr import ZarrConverter

LOSS = 4  # mean difference of pixels after a lossy film


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return robot_data.record(tmp_path_factory.mktemp("recorded") / "pusht")


def convert(kind, source, root, *options):
    main(["data", kind, str(source), "--root", str(root), "--processes", "1", *options])
    found = {}
    for split in Manifest.load(root).splits:
        for episode in episodes(root, split):
            found[int(episode["key"].split("-")[1])] = episode | {"split": split}
    return [found[number] for number in sorted(found)]


def check(found, recorded, loss=LOSS, states=True, view=lambda frames: frames):
    assert len(found) == len(recorded)
    for episode, truth in zip(found, recorded, strict=True):
        np.testing.assert_array_equal(episode["actions"], truth["actions"])
        if states:
            np.testing.assert_array_equal(episode["states"], truth["states"])
        assert ("states" in episode) == states
        frames = view(truth["frames"]).transpose(0, 3, 1, 2).astype(int)
        assert np.abs(episode["frames"] - frames).reshape(len(frames), -1).mean(1).max() <= loss


def side_by_side(frames):
    return np.concatenate([frames, frames[:, ::-1]], axis=2)


def test_lerobot_v3(tmp_path, recorded):
    robot_data.write_lerobot_v3(tmp_path / "in", recorded, (TOP, SIDE))
    with pytest.raises(ValueError, match=r"has the cameras .*top, .*side: choose with --cameras"):
        convert("lerobot", tmp_path / "in", tmp_path / "none")
    check(convert("lerobot", tmp_path / "in", tmp_path / "one", f"--cameras=[{TOP}]"), recorded)
    both = (f"--cameras=[{TOP}, {SIDE}]", "--states=null")
    found = convert("lerobot", tmp_path / "in", tmp_path / "both", *both)
    check(found, recorded, states=False, view=side_by_side)
    size = convert("lerobot", tmp_path / "in", tmp_path / "size", *both, "--image_size=[32, 64]")
    assert size[0]["frames"].shape[1:] == (3, 32, 64)


@pytest.mark.parametrize(("kind", "loss"), [("video", LOSS), ("image", 0)])
def test_lerobot_v2(tmp_path, recorded, kind, loss):
    robot_data.write_lerobot_v2(tmp_path / "in", recorded, kind)
    found = convert("lerobot", tmp_path / "in", tmp_path / "out", "--image_format=png")
    check(found, recorded, loss)
    assert found[3]["json"] == {"episode": "episode 3"}


def test_hdf5(tmp_path, recorded):
    robot_data.write_hdf5(tmp_path / "in/demo.hdf5", recorded)
    options = ("--cameras=[agentview_image]", "--states=states", "--split_by=file")
    found = convert("hdf5", tmp_path / "in", tmp_path / "out", *options)
    check(found, recorded, 0)
    assert [episode["split"] == "test" for episode in found] == [False] * 4 + [True] * 2
    both = "--cameras=[agentview_image, eye_in_hand_rgb]"
    found = convert("hdf5", tmp_path / "in/demo.hdf5", tmp_path / "both", both)
    check(found, recorded, 0, states=False, view=side_by_side)


@pytest.mark.parametrize("version", [2, 3])
def test_zarr(tmp_path, recorded, version):
    robot_data.write_zarr(tmp_path / "in.zarr", recorded, version)
    check(convert("zarr", tmp_path / "in.zarr", tmp_path / "out"), recorded, 0)


def test_videos(tmp_path, recorded):
    robot_data.write_videos(tmp_path / "in", recorded)
    check(convert("videos", tmp_path / "in", tmp_path / "out"), recorded)


def test_a_conversion_that_was_cut_short_goes_on(tmp_path, recorded):
    robot_data.write_zarr(tmp_path / "in.zarr", recorded)
    options = {"processes": 1, "episodes_per_shard": 2}
    ZarrConverter(tmp_path / "in.zarr", tmp_path / "whole", **options).record()
    whole = {p.name: p.read_bytes() for p in (tmp_path / "whole").glob("*.tar")}
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    (tmp_path / "cut/manifest.json").unlink()
    for path in (tmp_path / "cut").glob("*.tar"):
        path.with_suffix(".skips.json").write_text("[]")
    lost = tmp_path / "cut/train-000001.tar"
    lost.unlink(), lost.with_suffix(".skips.json").unlink()
    ZarrConverter(tmp_path / "in.zarr", tmp_path / "cut", **options).record()
    assert {p.name: p.read_bytes() for p in (tmp_path / "cut").glob("*.tar")} == whole


def skipped(converter):
    reasons = converter.record().skipped["reasons"]
    return {text.partition(": ")[0]: text.partition(": ")[2] for text in reasons}


LENIENT = {"processes": 1, "max_skip_share": 0.9}


def test_broken_lerobot_episodes_are_named(tmp_path, recorded):
    folder = tmp_path / "in"
    robot_data.write_lerobot_v2(folder, recorded)
    film, table = (
        f"videos/chunk-000/{TOP}/episode_{{:06d}}.mp4",
        "data/chunk-000/episode_{:06d}.parquet",
    )
    (folder / film.format(1)).write_bytes(b"no film")
    robot_data.write_video(folder / film.format(2), recorded[2]["frames"][:-2])
    (folder / table.format(3)).write_bytes(b"no table")
    columns = robot_data.rows(recorded, [4])
    robot_data.write_table(
        folder / table.format(4), columns | {"action": [[0.0], *columns["action"][1:]]}
    )
    found = skipped(LeRobotConverter(folder, tmp_path / "out", **LENIENT))
    assert set(found) == {f"episode {number}" for number in (1, 2, 3, 4)}
    for number, reason in enumerate(("is broken", "ends before 0.7 s", "is broken",
                                     "action is not as many numbers"), start=1):  # fmt: skip
        assert reason in found[f"episode {number}"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codebase_version": "v9"}, "only versions 2 and 3"),
        ({"fps": None}, "does not describe a LeRobot data set"),
        ({"features": {"../up": {"dtype": "video"}}}, "has the cameras none"),
        ({"features": []}, "does not describe a LeRobot data set"),
        ({"splits": {"train": "all"}}, "does not describe a LeRobot data set"),
    ],
)
def test_hostile_descriptions_of_lerobot_are_one_sentence(tmp_path, recorded, change, message):
    robot_data.write_lerobot_v3(tmp_path / "in", recorded[:2])
    path = tmp_path / "in/meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        LeRobotConverter(tmp_path / "in", tmp_path / "out").record()


def test_links_out_of_an_hdf5_file_are_not_followed(tmp_path, recorded):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    path = tmp_path / "in/demo.hdf5"
    robot_data.write_hdf5(path, recorded)
    (tmp_path / "secret").write_bytes(bytes(1000))
    with h5py.File(path, "a") as file:
        for number in (1, 2, 3):
            del file[f"data/demo_{number}/actions"]
        file["data/demo_1/actions"] = h5py.ExternalLink("demo.hdf5", "/data/demo_0/actions")
        file["data/demo_2"].create_dataset(
            "actions", (9, 2), "f4", external=[(str(tmp_path / "secret"), 0, 72)]
        )
    found = skipped(HDF5Converter(path, tmp_path / "out", cameras=["agentview_image"], **LENIENT))
    assert "is a link" in found["demo.hdf5, demo_1"]
    assert "lies in other files" in found["demo.hdf5, demo_2"]
    assert "has no actions" in found["demo.hdf5, demo_3"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"compressor": {"id": "pickle"}}, "has no array data/action that can be read"),
        ({"filters": [{"id": "pickle"}]}, "has no array data/action that can be read"),
        ({"compressor": {"id": "fletcher32"}}, "action is packed by fletcher32"),
        ({"chunks": [10**10, 2]}, "a chunk of its data/action claims more"),
        ({"dtype": "|b1", "fill_value": False}, "its data/action is bool .*, not numbers"),
    ],
)
def test_what_a_zarr_store_may_not_say(tmp_path, recorded, change, message):
    robot_data.write_zarr(tmp_path / "in.zarr", recorded[:1])
    path = tmp_path / "in.zarr/data/action/.zarray"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        ZarrConverter(tmp_path / "in.zarr", tmp_path / "out").record()


def test_broken_videos_are_named(tmp_path, recorded):
    folder = tmp_path / "in"
    robot_data.write_videos(folder, recorded)
    (folder / "drive_0.csv").unlink()
    (folder / "drive_1.csv").write_text("1,2\n3\n")
    (folder / "drive_2.csv").write_text("a,b\n1,2\n")
    (folder / "drive_3.csv").write_text("1,2\n" * 8 + "1,x\n")
    found = skipped(VideosConverter(folder, tmp_path / "out", **LENIENT))
    for number, reason in enumerate(("has no drive_0.csv", "is no table of numbers",
                                     "9 frames and 1 actions", "hold NaN")):  # fmt: skip
        assert reason in found[f"drive_{number}.mp4"]


@pytest.mark.parametrize("kind", ["lerobot", "hdf5", "zarr", "videos"])
def test_a_folder_that_is_no_such_data_is_one_sentence(tmp_path, kind):
    with pytest.raises((ValueError, FileNotFoundError), match=str(tmp_path)):
        main(["data", kind, str(tmp_path), "--root", str(tmp_path / "out")])


MODULES = {"lerobot": "pyarrow.parquet", "hdf5": "h5py", "zarr": "zarr", "videos": "av"}


@pytest.mark.parametrize("kind", MODULES)
def test_a_package_that_is_missing_is_named_with_its_extra(tmp_path, recorded, monkeypatch, kind):
    write = {"lerobot": robot_data.write_lerobot_v3, "zarr": robot_data.write_zarr,
             "hdf5": lambda path, each: robot_data.write_hdf5(path / "demo.hdf5", each),
             "videos": robot_data.write_videos}  # fmt: skip
    write[kind](tmp_path / "in", recorded[:2])
    monkeypatch.setitem(sys.modules, MODULES[kind], None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rlvr-world\[(robots|video)\]'"):
        convert(kind, tmp_path / "in", tmp_path / "out")
