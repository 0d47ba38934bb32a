import random

import numpy as np
import pytest
from test_clips import module
from torch.testing import assert_close

from rlvr_world.video.data.color_jitter import ColorJitter

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 3, 8, 10), dtype=np.uint8)


def test_nothing_changes_by_default():
    assert np.array_equal(ColorJitter()(FRAMES, random.Random(0)), FRAMES)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_each_change_is_within_its_range_and_the_same_for_all_frames(name):
    jitter, size = ColorJitter(**{name: 0.1}), 0.1
    for seed in range(20):
        changed = jitter(FRAMES, random.Random(seed))
        assert changed.dtype == np.uint8
        assert changed.shape == FRAMES.shape
        alone = jitter(FRAMES[1:2], random.Random(seed))
        assert np.array_equal(changed[1:2], alone)
        if name == "brightness":
            ratio = changed[FRAMES > 60].astype(float) / FRAMES[FRAMES > 60]
            assert ratio.max() <= 1 + size + 0.02
            whole = ratio[changed[FRAMES > 60] < 255]
            assert whole.max() - whole.min() < 0.02
            assert 1 - size - 0.02 <= whole.min()
        if name == "contrast":
            gray = np.full_like(FRAMES, 77)
            assert np.array_equal(jitter(gray, random.Random(seed)), gray)
        if name in ("saturation", "hue"):
            gray = np.repeat(FRAMES[:, :1], 3, axis=1)
            assert np.abs(jitter(gray, random.Random(seed)).astype(int) - gray).max() <= 1


def test_a_hue_goes_round():
    red = np.zeros((1, 3, 2, 2), np.uint8)
    red[:, 0] = 200
    seen = [ColorJitter(hue=0.5)(red, random.Random(seed))[0, :, 0, 0] for seed in range(40)]
    assert all(200 <= max(colour) <= 201 and min(colour) == 0 for colour in seen)
    assert len({int(np.argmax(colour)) for colour in seen}) == 3


@pytest.mark.parametrize("wrong", [{"hue": 0.6}, {"brightness": -0.1}, {"contrast": 2}])
def test_ranges_are_checked(wrong):
    with pytest.raises(ValueError, match=f"jitter: {next(iter(wrong))} must be from 0 to"):
        ColorJitter(**wrong)


def test_only_training_clips_change_and_their_context_changes_alike(make_root):
    root, jitter = make_root(), ColorJitter(0.1, 0.1, 0.1, 0.05)
    options = {"context_gap": 0, "num_workers": 0}
    plain, changed = module(root, **options), module(root, jitter=jitter, **options)
    for before, after in zip(plain.val_dataloader(), changed.val_dataloader(), strict=True):
        assert_close(before["frames"], after["frames"])
    batch = next(iter(changed.train_dataloader()))
    assert_close(batch["context"], batch["frames"][:, 0])
    again = next(iter(module(root, jitter=jitter, **options).train_dataloader()))
    assert_close(batch["frames"], again["frames"])
    assert (batch["frames"] != next(iter(plain.train_dataloader()))["frames"]).any()


def test_tokens_have_no_colours(make_root):
    data = module(make_root(tokens=True), jitter=ColorJitter(hue=0.1))
    with pytest.raises(ValueError, match=r"jitter: .* holds tokens, without colours"):
        data.train_dataloader()
