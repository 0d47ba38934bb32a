"""Frames in, frames out."""

import numpy as np
import pytest
from PIL import Image
from tiny_video import TinyClips, export_tokenizer, save_untrained

import rlvr_world
from rlvr_world import MinimumBayesRisk

ACTIONS = np.full((4, 2), 0.5)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    path = save_untrained(folder / "mle.ckpt", export_tokenizer(folder / "tokenizer"))
    return rlvr_world.load(path)


@pytest.fixture(scope="module")
def rewarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rewarded")
    tokenizer = export_tokenizer(folder / "tokenizer")
    terms = '{"mae": {"class_path": "rlvr_world.video.rewards.frames.MAE"}}'
    path = save_untrained(folder / "mle.ckpt", tokenizer, options=("--model.rewards", terms))
    return rlvr_world.load(path)


@pytest.fixture
def frames():
    return TinyClips(1, 0).frames[0, :2].permute(0, 2, 3, 1).numpy()


def test_pictures_and_arrays_give_the_same_frames(model, frames, tmp_path):
    paths = [tmp_path / f"{index}.png" for index in range(2)]
    for path, frame in zip(paths, frames, strict=True):
        Image.fromarray(frame).save(path)
    predicted = model.predict(paths, ACTIONS, seed=3)
    assert (predicted.dtype, predicted.shape) == (np.uint8, (3, 32, 32, 3))
    assert (predicted == model.predict(frames, ACTIONS, seed=3)).all()
    assert (predicted != model.predict(frames, ACTIONS, seed=4)).any()
    assert (predicted[:1] == model.predict(frames, ACTIONS[:2], seed=3)).all()


def test_what_does_not_fit_is_one_sentence(model, frames):
    with pytest.raises(ValueError, match=r"takes 2 frames and actions .* got 1 frames"):
        model.predict(frames[:1], ACTIONS)
    with pytest.raises(ValueError, match=r"actions \[1, 2\]"):
        model.predict(frames, ACTIONS[:1])
    with pytest.raises(ValueError, match=r"a frame must be uint8 \[H, W, 3\], got float64"):
        model.predict(frames / 255, ACTIONS)
    with pytest.raises(ValueError, match="frames are 16x16"):
        model.predict(frames[:, :16, :16], ACTIONS)


def test_the_clip_that_is_most_like_the_others(rewarded, frames, monkeypatch):
    compared = []
    best_of = MinimumBayesRisk.best

    def remembered(self, clips, *options):
        compared.append(clips)
        return best_of(self, clips, *options)

    monkeypatch.setattr(MinimumBayesRisk, "best", remembered)
    chosen = rewarded.predict(frames, ACTIONS, sampler=MinimumBayesRisk(5), seed=2)
    (clips,) = compared
    assert clips.shape == (5, 3, 3, 32, 32)
    errors = (clips[:, None] - clips).abs().flatten(2).mean(dim=2).sum(dim=1)
    best = (clips[errors.argmin()] * 255).round().byte().permute(0, 2, 3, 1)
    assert (chosen == best.numpy()).all()


def test_clips_cannot_be_compared_without_a_reward(model, frames):
    with pytest.raises(ValueError, match="compared by their rewards, and there are none"):
        model.predict(frames, ACTIONS, sampler=MinimumBayesRisk())
