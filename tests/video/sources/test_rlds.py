import json
import shutil

import numpy as np
import pytest
import yaml

pytest.importorskip("tfrecord", reason="tfrecord is not installed")

from rlds_records import (
    BRIDGE,
    PAPER_ORDER,
    RT1_FRAMES,
    jpeg,
    moving_square,
    needs_bridge,
    needs_rt1,
    rt1_episode,
    write_records,
    write_rt1,
)
from stages import ROOT
from tiny_video import export_tokenizer

from rlvr_world.cli import main
from rlvr_world.data.samples import read_members
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.video import VideoDataModule, episodes
from rlvr_world.video.sources import conversion
from rlvr_world.video.sources.rlds import Features, RLDSConverter

PRESETS = ROOT / "configs"


def preset(name):
    return Features(**yaml.safe_load((PRESETS / f"{name}/recording.yaml").read_text())["features"])


def convert(source, root, name="rt1", **options):
    options = {"processes": 1, "episodes_per_shard": 3, "max_skip_share": 0.5} | options
    return RLDSConverter(source, preset(name), root, **options).record()


def contents(root):
    return {path.name: path.read_bytes() for path in sorted(root.iterdir())}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Ten RT-1 episodes in two files, with their actions."""
    folder = tmp_path_factory.mktemp("fractal")
    return folder, write_rt1(folder)


@pytest.fixture(scope="module")
def converted(source, tmp_path_factory):
    root = tmp_path_factory.mktemp("rt1")
    convert(source[0], root, val_share=0.1, test_share=0.1)
    return root


def test_every_value_arrives(source, converted):
    folder, actions = source
    numbers = []
    for split in ("train", "val", "test"):
        for episode in episodes(converted, split):
            number = int(episode["key"].split("-")[1])
            numbers.append(number)
            np.testing.assert_array_equal(episode["actions"], actions[number])
            place = f"{sorted(folder.iterdir())[number // 5].name}, record {number % 5}"
            assert episode["json"] == {"episode": place, "instruction": f"pick apple {number}"}
            truth = moving_square(seed=number).transpose(0, 3, 1, 2)
            assert np.abs(episode["frames"].astype(int) - truth).mean() < 4
    assert sorted(numbers) == list(range(10))


def test_frames_stay_the_bytes_that_came(source, converted):
    shard = converted / "train-000000.tar"
    for sample in read_members(shard):
        number = int(sample["__key__"].split("-")[1])
        images = rt1_episode(number)[0]["steps/observation/image"][0]
        assert [sample[f"frames.{i:04d}.jpg"] for i in range(6)] == images


def test_manifest_describes_the_shards(source, converted):
    manifest = Manifest.load(converted)
    sizes = {name: split.episodes for name, split in manifest.splits.items()}
    assert sizes == {"train": 8, "val": 1, "test": 1}
    assert manifest.splits["train"].shapes == {"frames": (32, 40, 3), "actions": (13,)}
    assert (manifest.source, manifest.skipped) == ("rlds", {})
    train = np.concatenate([e["actions"] for e in episodes(converted, "train")])
    np.testing.assert_allclose(manifest.actions["min"], train.min(axis=0))
    np.testing.assert_allclose(manifest.actions["q99"], np.quantile(train, 0.99, axis=0))
    assert not (converted / "journal.jsonl").exists()


@pytest.mark.slow
def test_same_bytes_with_any_number_of_processes(source, converted, tmp_path):
    convert(source[0], tmp_path, val_share=0.1, test_share=0.1, processes=2)
    assert contents(tmp_path) == contents(converted)


def test_goes_on_where_it_stopped(source, converted, tmp_path, monkeypatch):
    written = []
    write = conversion.write_episodes

    def stopping(path, *job):
        if len(written) == 2:
            path.with_name(path.name + ".part").write_bytes(b"cut short")
            raise KeyboardInterrupt
        written.append(path)
        return write(path, *job)

    monkeypatch.setattr(conversion, "write_episodes", stopping)
    with pytest.raises(KeyboardInterrupt):
        convert(source[0], tmp_path, val_share=0.1, test_share=0.1)
    assert not (tmp_path / "manifest.json").exists()
    times = {path: path.stat().st_mtime_ns for path in written}
    monkeypatch.setattr(conversion, "write_episodes", write)
    convert(source[0], tmp_path, val_share=0.1, test_share=0.1)
    assert contents(tmp_path) == contents(converted)
    assert {path: path.stat().st_mtime_ns for path in written} == times


def test_a_finished_folder_is_left_alone_and_not_mixed_with_another(source, converted):
    before = contents(converted)
    convert(source[0], converted, val_share=0.1, test_share=0.1)
    with pytest.raises(ValueError, match=r"was made with seed 0, not 1: use another folder"):
        convert(source[0], converted, val_share=0.1, test_share=0.1, seed=1)
    assert contents(converted) == before


@pytest.fixture
def damaged(source, tmp_path):
    """The ten episodes and four more files, each of which has something wrong with it."""
    folder = tmp_path / "damaged"
    shutil.copytree(source[0], folder)
    name = "fractal20220817_data-train.tfrecord-{:05d}"
    episodes = [rt1_episode(seed)[0] for seed in range(20, 26)]
    write_records(folder / name.format(2), episodes[:2])
    data = bytearray((folder / name.format(2)).read_bytes())
    data[40] ^= 1  # in the first payload
    (folder / name.format(2)).write_bytes(data)
    write_records(folder / name.format(3), episodes[2:4])
    data = (folder / name.format(3)).read_bytes()
    (folder / name.format(3)).write_bytes(data[:-100])
    del episodes[4]["steps/action/world_vector"]
    write_records(folder / name.format(4), episodes[4:5])
    other = rt1_episode(7, frames=moving_square(height=48))[0]
    broken = rt1_episode(8)[0]
    broken["steps/observation/image"][0][3] = b"no image"
    short = rt1_episode(9)[0]
    short["steps/action/rotation_delta"][0].pop()
    infinite = rt1_episode(10)[0]
    infinite["steps/action/rotation_delta"][0][4] = float("nan")
    write_records(folder / name.format(5), [other, broken, short, infinite])
    return folder


def test_what_is_broken_is_skipped_counted_and_named(damaged, tmp_path, capsys):
    manifest = convert(damaged, tmp_path / "out", test_share=0.1)
    reasons = [
        "00002, record 0: its checksum is wrong",
        "00003, record 1: the file is cut here",
        "00004, record 0: it has no steps/action/world_vector",
        "00005, record 0: its steps have shapes {'frames': (48, 40, 3)",
        "00005, record 1: an image of it is broken",
        "00005, record 2: its steps/action/rotation_delta has 17 values, not 6 x 3",
        "00005, record 3: its actions hold NaN or infinite values",
    ]
    assert manifest.skipped["episodes"] == len(reasons)
    for reason in reasons:
        assert sum(reason in named for named in manifest.skipped["reasons"]) == 1
    assert sum(split.episodes for split in manifest.splits.values()) == 12
    printed = " ".join(capsys.readouterr().out.split())
    assert "7 of 19 episodes had to be skipped: fractal20220817_data-train" in printed
    assert Manifest.load(tmp_path / "out").skipped == manifest.skipped


def test_too_much_broken_stops(damaged, tmp_path):
    with pytest.raises(ValueError, match=r"7 of 19 episodes .*; max_skip_share is 0.05"):
        convert(damaged, tmp_path / "out", max_skip_share=0.05)
    assert not (tmp_path / "out/manifest.json").exists()


def test_features_of_another_data_set_are_named(source, tmp_path):
    with pytest.raises(ValueError, match=r"no episode can be used: .*has no steps/observation/im"):
        convert(source[0], tmp_path / "out", "bridge")
    with pytest.raises(ValueError, match=r"--config configs/rt1/recording\.yaml"):
        main(["data", "rlds", str(source[0])])
    with pytest.raises(FileNotFoundError, match=r"holds no \*.tfrecord\* files"):
        convert(tmp_path, tmp_path / "out")


def test_the_splits_of_files(tmp_path):
    write_rt1(tmp_path / "in", 1, 4)
    write_rt1(tmp_path / "in", 1, 2, "val")
    manifest = convert(tmp_path / "in", tmp_path / "out", split_by="file", val_share=0.2)
    assert {name: split.episodes for name, split in manifest.splits.items()} == {
        "train": 3, "val": 1, "test": 2,
    }  # fmt: skip


def test_frames_at_another_size_and_without_loss(source, tmp_path):
    manifest = convert(source[0], tmp_path / "small", image_size=(16, 20))
    assert manifest.splits["train"].shapes["frames"] == (16, 20, 3)
    manifest = convert(source[0], tmp_path / "png", image_format="png")
    assert manifest.splits["train"].shapes["frames"] == (32, 40, 3)
    exact, lossy = (next(episodes(tmp_path / name, "train")) for name in ("png", "small"))
    halved = exact["frames"].reshape(6, 3, 16, 2, 20, 2).mean(axis=(3, 5))
    assert np.abs(lossy["frames"] - halved).mean() < 4


def test_images_that_come_as_png(tmp_path):
    features, _ = rt1_episode(0)
    images = [jpeg(frame, "PNG") for frame in moving_square()]
    features["steps/observation/image"] = (images, "byte")
    write_records(tmp_path / "in/x-train.tfrecord-0", [features] * 3)
    convert(tmp_path / "in", tmp_path / "out", image_format="png")
    exact = next(episodes(tmp_path / "out", "train"))["frames"]
    np.testing.assert_array_equal(exact, moving_square().transpose(0, 3, 1, 2))
    convert(tmp_path / "in", tmp_path / "jpg")
    assert next(episodes(tmp_path / "jpg", "train"))["frames"].shape == (6, 3, 32, 40)


@pytest.mark.parametrize("name", ["rt1", "bridge"])
def test_presets(name):
    settings = yaml.safe_load((PRESETS / f"{name}/recording.yaml").read_text())
    features = Features(**settings["features"])
    dims = {"rt1": 13, "bridge": 7}[name]
    assert sum(features.actions.values()) == dims
    if name == "rt1":
        assert list(features.actions) == [f"steps/action/{part}" for part in PAPER_ORDER]


def test_the_command_then_tokens_then_clips(source, tmp_path):
    root, tokens = tmp_path / "rt1", tmp_path / "tokens"
    options = ["-c", str(PRESETS / "rt1/recording.yaml"), "--root", str(root), "--processes", "1"]
    main(["data", "rlds", str(source[0]), *options, "--image_size", "[32, 32]"])
    sizes = {name: split.episodes for name, split in Manifest.load(root).splits.items()}
    assert sizes == {"train": 8, "val": 1, "test": 1}
    parts = Manifest.load(root).settings["features"]["actions"]
    assert [name.rsplit("/", 1)[-1] for name, _ in parts] == PAPER_ORDER
    tokenizer = export_tokenizer(tmp_path / "tokenizer")
    names = {"tokenizer": tokenizer, "source": root, "root": tokens}
    main(["data", "tokens", *(f"--{name}={path}" for name, path in names.items())])
    module = VideoDataModule(str(tokens), clip_length=3, batch_size=2, samples_per_epoch=4)
    module.setup("fit")
    batch = next(iter(module.train_dataloader()))
    assert batch["tokens"].shape[:2] == (2, 3)
    assert batch["actions"].shape == (2, 3, 13)
    assert Manifest.load(tokens).actions == Manifest.load(root).actions


@needs_bridge
def test_real_bridge(tmp_path):
    manifest = convert(BRIDGE, tmp_path, "bridge", test_share=0.2, episodes_per_shard=25)
    shapes = {"frames": (64, 64, 3), "actions": (7,), "states": (7,)}
    assert manifest.skipped == {}
    assert manifest.splits["train"].shapes == shapes
    assert sum(split.frames for split in manifest.splits.values()) == 250
    found = [episode for split in manifest.splits for episode in episodes(tmp_path, split)]
    assert len({episode["json"]["episode_id"] for episode in found}) > 1
    texts = {episode["json"]["instruction"] for episode in found}
    assert len(texts) == 4
    assert "put cup from counter or drying rack into sink" in texts
    for episode in found:
        gripper = episode["actions"][:, 6]
        assert ((gripper >= 0) & (gripper <= 1)).all()
        assert 30 < episode["frames"].mean() < 220
        moved = np.diff(episode["states"][:, :3], axis=0)
        aim = episode["actions"][:-1, :3]
        assert np.abs(moved - aim).mean() < 0.02
    assert json.loads((tmp_path / "manifest.json").read_text())["actions"]["q01"][6] == 0


@needs_bridge
def test_real_bridge_equals_the_public_reader(tmp_path):
    loader = pytest.importorskip("tfrecord.reader").tfrecord_loader
    (path,) = BRIDGE.glob("*.tfrecord*")
    theirs = list(loader(str(path), None, {"steps/action": "float"}))
    convert(BRIDGE, tmp_path, "bridge")
    for split in ("train", "val", "test"):
        for episode in episodes(tmp_path, split):
            row = theirs[int(episode["key"].split("-")[1])]["steps/action"]
            np.testing.assert_array_equal(episode["actions"].flatten(), row)


@needs_rt1
def test_real_rt1_frames(tmp_path):
    frames = np.load(RT1_FRAMES, allow_pickle=False)["image"]
    features, action = rt1_episode(3, frames=frames)
    write_records(tmp_path / "in/fractal20220817_data-train.tfrecord-00000", [features] * 3)
    manifest = convert(tmp_path / "in", tmp_path / "out")
    assert manifest.splits["train"].shapes["frames"] == (256, 320, 3)
    episode = next(episodes(tmp_path / "out", "train"))
    np.testing.assert_array_equal(episode["actions"], action)
    error = np.abs(episode["frames"].transpose(0, 2, 3, 1).astype(int) - frames)
    assert error.mean() < 4
