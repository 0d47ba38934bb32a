import numpy as np
import pytest
from rlds_records import RT1_FRAMES, moving_square, needs_rt1

from rlvr_world.cli import main
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.video import episodes
from rlvr_world.video.sources.npz import NPZConverter


def write(folder, count=4, frames=None):
    """The original's files; returns the actions of each."""
    folder.mkdir()
    found = []
    for index in range(count):
        image = moving_square(seed=index) if frames is None else frames
        action = np.random.default_rng(index).normal(size=(len(image), 13))
        np.savez_compressed(folder / f"train_eps_{index:08d}.npz", image=image, action=action)
        found.append(action.astype(np.float32))
    return found


def test_the_command(tmp_path):
    actions = write(tmp_path / "in")
    root = tmp_path / "out"
    options = ["--root", str(root), "--image_format", "png", "--processes", "1"]
    main(["data", "npz", str(tmp_path / "in"), *options, "--split_by", "paper"])
    (test,) = episodes(root, "test")
    assert test["key"] == "test-000000"
    assert test["json"] == {"episode": "train_eps_00000000.npz"}
    for split in Manifest.load(root).splits:
        for episode in episodes(root, split):
            number = int(episode["key"].split("-")[1])
            np.testing.assert_array_equal(episode["actions"], actions[number])
            truth = moving_square(seed=number).transpose(0, 3, 1, 2)
            np.testing.assert_array_equal(episode["frames"], truth)


def test_what_is_broken_is_named(tmp_path):
    folder = tmp_path / "in"
    write(folder)
    good = (folder / "train_eps_00000000.npz").read_bytes()
    (folder / "x_cut.npz").write_bytes(good[:-40])
    image, action = moving_square(), np.zeros((6, 13))
    faults = {
        "alone": ({"image": image}, "it has no action"),
        "float": ({"image": image / 1, "action": action}, "its image is float64"),
        "flat": ({"image": image, "action": action[0]}, "its action is"),
        "short": ({"image": image, "action": action[1:]}, "6 frames and 5 actions"),
        "none": ({"image": image[:0], "action": action[:0]}, "it has no frames"),
        "pickle": ({"image": np.array([{}]), "action": action}, "it is broken"),
    }
    for name, (arrays, _) in faults.items():
        np.savez(folder / f"x_{name}.npz", **arrays)
    manifest = NPZConverter(folder, tmp_path / "out", processes=1, max_skip_share=0.9).record()
    assert manifest.skipped["episodes"] == len(faults) + 1
    for name, (_, reason) in {"cut": ({}, "it is broken"), **faults}.items():
        (named,) = [text for text in manifest.skipped["reasons"] if f"x_{name}.npz" in text]
        assert reason in named


def test_a_folder_without_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no \*.npz files"):
        NPZConverter(tmp_path, tmp_path / "out").record()


@needs_rt1
def test_real_rt1_frames(tmp_path):
    frames = np.load(RT1_FRAMES, allow_pickle=False)["image"]
    write(tmp_path / "in", 3, frames)
    manifest = NPZConverter(tmp_path / "in", tmp_path / "out", processes=1).record()
    assert manifest.splits["train"].shapes == {"frames": (256, 320, 3), "actions": (13,)}
    found = next(episodes(tmp_path / "out", "train"))["frames"].transpose(0, 2, 3, 1)
    assert np.abs(found.astype(int) - frames).mean() < 2
