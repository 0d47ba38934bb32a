"""Pairs of actions: whose truth a prediction is nearer to."""

import json
from math import nan

import pytest
import torch
from tiny_video import TinyClips, TinyVideo, export_tokenizer, save_untrained
from torch.utils.data import DataLoader

from rlvr_world.evaluation.following import action_following, is_nearer
from rlvr_world.video.rewards.frames import MSE
from rlvr_world.video.scenes.pusht import View
from rlvr_world.video.scenes.pusht_scene import PushTScene


class Played(TinyVideo):
    """The same starts; how clips of each split go on, and their actions, are its own."""

    test_split = "test"

    def test_dataloader(self):
        clips = TinyClips(5, 0)
        if self.test_split != "test":
            other = TinyClips(5, 9)
            clips.frames[:, 2], clips.actions = other.frames[:, 2], other.actions
            clips.states[:, 2] = other.states[:, 2]
        if self.test_split == "shuffled":
            clips.__class__ = type("Renamed", (TinyClips,), {"__getitem__": renamed})
        return DataLoader(clips, 3)


def renamed(clips, index):
    return TinyClips.__getitem__(clips, index) | {"key": f"other{index}"}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = export_tokenizer(folder / "tokenizer")
    return {"mle": save_untrained(folder / "mle.ckpt", tokenizer, seed=1)}


def run(models, output, splits, **options):
    given = {"metrics": {"mse": MSE()}, "scene": PushTScene(View(side=320, image_size=32))}
    given |= {"data": Played(), "device": "cpu", "rewards": {}} | options
    return action_following(output, splits, models=models, **given)


def test_nearer_is_better_against_the_own_truth():
    own = torch.tensor([1.0, 2.0, 1.0, nan, 1.0])
    other = torch.tensor([2.0, 1.0, 1.0, 1.0, nan])
    nearer = is_nearer(own, other, higher_is_better=False).tolist()
    assert nearer == pytest.approx([1, 0, nan, 0, 0], nan_ok=True)
    nearer = is_nearer(own, other, higher_is_better=True).tolist()
    assert nearer == pytest.approx([0, 1, nan, 0, 0], nan_ok=True)


def test_the_truth_is_nearest_to_itself_and_a_copy_to_neither(models, tmp_path):
    table = run(models, tmp_path, {"recorded": "test", "swapped": "other"}, seeds=2)
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert list(rows) == ["copy_last", "reconstruction", "mle"]
    copied = rows["copy_last"]
    assert copied["pairs/mse"] == [0.5, 0]
    assert copied["mse/recorded"] != copied["mse/swapped"]
    assert next(iter(table.labels)) == "pairs/mse"
    assert table.labels["mse/swapped"] == "MSE, swapped"
    assert (table.samples, table.split) == (5, "test and other")
    clips = TinyClips(5, 0).frames.float() / 255
    expected = (clips[:, 1] - clips[:, 2]).square().mean()
    assert copied["mse/recorded"][0] == pytest.approx(expected.item(), rel=1e-5)


def test_what_cannot_be_paired_is_refused(models, tmp_path):
    with pytest.raises(ValueError, match="splits: give at least two kinds of action"):
        run(models, tmp_path, {"recorded": "test"})
    with pytest.raises(ValueError, match="TinyVideo has no test_split"):
        run(models, tmp_path, {"recorded": "test", "swapped": "other"}, data=TinyVideo())
    with pytest.raises(ValueError, match="must have the same keys in the same order"):
        run(models, tmp_path, {"recorded": "test", "swapped": "shuffled"})
