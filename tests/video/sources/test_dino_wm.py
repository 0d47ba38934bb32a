import pickle

import numpy as np
import pytest
import torch
from rlds_records import moving_square
from robot_data import write_video

from rlvr_world.cli import main
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.video import episodes
from rlvr_world.video.sources.dino_wm import DinoConverter

LENGTHS = (7, 5, 9)
LONGEST = 10


def write_pusht(folder, seed=0):
    """A split of PushT: padded tensors, a pickle, and a video for each episode."""
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    tensors = {
        "states": torch.randn(len(LENGTHS), LONGEST, 5, dtype=torch.float64),
        "velocities": torch.randn(len(LENGTHS), LONGEST, 2),
        "rel_actions": torch.randn(len(LENGTHS), LONGEST, 2, dtype=torch.float64),
        "abs_actions": 300 + torch.randn(len(LENGTHS), LONGEST, 2),
    }
    for name, tensor in tensors.items():
        torch.save(tensor, folder / f"{name}.pth")
    (folder / "seq_lengths.pkl").write_bytes(pickle.dumps(Trap()))
    for index, length in enumerate(LENGTHS):
        frames = moving_square(length, 48, 64, seed + index)
        write_video(folder / f"obses/episode_{index:03d}.mp4", frames)
    return tensors


class Trap:
    """Makes a test fail if it is ever unpickled."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was read",)


def by_number(root):
    """All episodes of a folder by their number in the source."""
    found = {}
    for split in Manifest.load(root).splits:
        for episode in episodes(root, split):
            found[int(episode["key"].split("-")[1])] = episode | {"split": split}
    return found


def test_pusht(tmp_path):
    train = write_pusht(tmp_path / "in/train")
    write_pusht(tmp_path / "in/val", seed=5)
    root = tmp_path / "out"
    options = ["--root", str(root), "--split_by", "file", "--val_share", "0.1", "--processes", "1"]
    main(["data", "dino", str(tmp_path / "in"), *options])
    found = by_number(root)
    assert sorted(found) == list(range(6))
    assert all((found[number]["split"] == "test") == (number >= 3) for number in found)
    for number, length in enumerate(LENGTHS):
        episode = found[number]
        assert episode["json"] == {"episode": f"train, episode {number}"}
        for name, tensor in (("actions", "rel_actions"), ("states", "states")):
            truth = train[tensor][number, :length].float().numpy()
            np.testing.assert_array_equal(episode[name], truth)
        truth = moving_square(length, 48, 64, number).transpose(0, 3, 1, 2)
        assert np.abs(episode["frames"].astype(int) - truth).mean() < 5


def test_absolute_actions_and_a_single_split(tmp_path):
    tensors = write_pusht(tmp_path / "in")
    DinoConverter(tmp_path / "in", tmp_path / "out", "absolute", processes=1).record()
    actions = by_number(tmp_path / "out")[2]["actions"]
    np.testing.assert_array_equal(actions, tensors["abs_actions"][2, : LENGTHS[2]].numpy())


def write_rope(folder, frames, count=4):
    folder.mkdir()
    torch.save(torch.randn(count, len(frames), 11, 4), folder / "states.pth")
    torch.save(torch.randn(count, len(frames), 4), folder / "actions.pth")
    for index in range(count):
        (folder / f"{index:06d}").mkdir()
        torch.save(frames, folder / f"{index:06d}/obses.pth")


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_deformable(tmp_path, kind):
    frames = torch.from_numpy(moving_square(5)).to(kind)
    write_rope(tmp_path / "rope", frames)
    options = {"processes": 1, "image_format": "png"}
    manifest = DinoConverter(tmp_path / "rope", tmp_path / "out", **options).record()
    assert manifest.splits["train"].shapes == {
        "frames": (32, 40, 3), "actions": (4,), "states": (44,),
    }  # fmt: skip
    states = torch.load(tmp_path / "rope/states.pth", weights_only=True)
    for number, episode in by_number(tmp_path / "out").items():
        np.testing.assert_array_equal(episode["frames"], moving_square(5).transpose(0, 3, 1, 2))
        np.testing.assert_array_equal(episode["states"], states[number].flatten(1).numpy())


def test_what_is_broken_is_named(tmp_path):
    folder = tmp_path / "rope"
    write_rope(folder, torch.from_numpy(moving_square(5)), count=6)
    torch.save(torch.rand(5, 32, 40, 3), folder / "000001/obses.pth")
    (folder / "000002/obses.pth").unlink()
    (folder / "000003/obses.pth").write_bytes(pickle.dumps(Trap(), protocol=2))
    options = {"processes": 1, "max_skip_share": 0.6}
    skipped = DinoConverter(folder, tmp_path / "out", **options).record().skipped
    reasons = {1: "does not hold whole numbers", 2: "it has no frames", 3: "cannot be read"}
    assert skipped["episodes"] == 3
    for number, reason in reasons.items():
        assert any(f"episode {number}: " in t and reason in t for t in skipped["reasons"])


def test_folders_that_are_none_of_these(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no states.pth and no train/states.pth"):
        DinoConverter(tmp_path, tmp_path / "out").record()
    torch.save(torch.zeros(2, 3, 4), tmp_path / "states.pth")
    with pytest.raises(FileNotFoundError, match=r"neither rel_actions.pth nor actions.pth"):
        DinoConverter(tmp_path, tmp_path / "out").record()
    torch.save(torch.zeros(2, 3, 4), tmp_path / "actions.pth")
    (tmp_path / "states.pth").write_bytes(b"no tensor")
    with pytest.raises(ValueError, match=r"states.pth cannot be read as a tensor"):
        DinoConverter(tmp_path, tmp_path / "out").record()
