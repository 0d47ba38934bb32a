import json
import shutil

import pytest
import torch
from jsonargparse import ArgumentParser
from tiny_video import export_tokenizer, save_untrained

from rlvr_world.modules.saved import load_world_model
from rlvr_world.video.codecs.action_range import DataRange
from rlvr_world.video.codecs.frame import FrameCodec

ACTIONS = {
    "min": [-5.0, 0.0, 2.0, 0.0],
    "max": [22.0, 1.0, 2.0, 1.0],
    "q01": [-1.0, 0.0, 2.0, 0.0],
    "q99": [1.0, 1.0, 2.0, 0.0],
}
"""A dimension with outliers, one without, one that is constant, one that is nearly so."""


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"actions": ACTIONS}))
    return path


def test_limits(manifest):
    assert DataRange(manifest).limits() == ([-1, 0, 1.5, 0], [1, 1, 2.5, 1])
    assert DataRange(manifest, "extremes").limits() == ([-5, 0, 1.5, 0], [22, 1, 2.5, 1])


def test_bins_that_98_percent_of_the_actions_use(manifest, tmp_path):
    tokenizer = export_tokenizer(tmp_path / "tokenizer")
    actions = torch.tensor([[[x, 0.5, 2.0, 0.0] for x in (-30.0, -1.0, 0.0, 0.999, 30.0)]])
    bins = {}
    for kind in ("quantile", "extremes"):
        codec = FrameCodec(tokenizer, (32, 32), action_range=DataRange(manifest, kind))
        bins[kind] = (codec.action_tokens({"actions": actions}) - codec.num_codes)[0, :, 0].tolist()
        other = FrameCodec(tokenizer, (32, 32), *DataRange(manifest, kind).limits())
        assert codec.fingerprint == other.fingerprint
    assert bins["quantile"] == [0, 0, 128, 255, 255]
    assert bins["extremes"] == [0, 37, 47, 56, 255]


def yaml_codec(tokenizer, manifest, kind):
    return {
        "class_path": "rlvr_world.video.codecs.frame.FrameCodec",
        "init_args": {
            "tokenizer": str(tokenizer),
            "frame_size": [32, 32],
            "action_range": {"manifest": str(manifest), "kind": kind},
        },
    }


def test_in_yaml(manifest, tmp_path):
    parser = ArgumentParser()
    parser.add_argument("--codec", type=FrameCodec)
    tokenizer = export_tokenizer(tmp_path / "tokenizer")
    codec = yaml_codec(tokenizer, manifest, "extremes")
    built = parser.instantiate(parser.parse_object({"codec": codec})).codec
    assert built.action_high.tolist() == [22, 1, 2.5, 1]


def test_a_checkpoint_finds_its_ranges_again(tmp_path):
    actions = {"q01": [0.0, -2.0], "q99": [3.0, 4.0], "min": [0.0, -2.0], "max": [3.0, 4.0]}
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"actions": actions}))
    tokenizer = export_tokenizer(tmp_path / "tokenizer")
    options = ["--model.codec.action_range.manifest", str(manifest)]
    path = save_untrained(tmp_path / "model.ckpt", tokenizer, options=options)
    assert load_world_model(path).codec.action_high.tolist() == [3, 4]
    manifest.unlink()
    shutil.rmtree(tokenizer)
    moved = shutil.move(path, tmp_path / "moved.ckpt")
    assert load_world_model(moved).codec.action_high.tolist() == [3, 4]


def test_one_of_both_is_needed(manifest, tmp_path):
    tokenizer = export_tokenizer(tmp_path / "tokenizer")
    codec = FrameCodec(tokenizer, (32, 32), [0], [1], action_range=DataRange(manifest))
    assert codec.action_low.tolist() == DataRange(manifest).limits().low
    with pytest.raises(ValueError, match="give action_low and action_high, or action_range"):
        FrameCodec(tokenizer, (32, 32), action_low=[0])


def test_a_manifest_that_is_missing_or_no_manifest(manifest):
    with pytest.raises(FileNotFoundError, match="make the data first"):
        DataRange(manifest.with_name("other.json")).limits()
    for text in ("{", "[]", '{"actions": {"min": [0]}}', '{"actions": {"q01": 1}}'):
        manifest.write_text(text)
        with pytest.raises(ValueError, match=r"manifest.json holds no ranges of actions"):
            DataRange(manifest).limits()
