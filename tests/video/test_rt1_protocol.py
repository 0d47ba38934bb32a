"""The paper's evaluation of RT-1: which clips and context frames, and how predictions are drawn."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from rlds_records import RT1_FRAMES
from stages import ROOT
from tiny_video import TinyVideo, export_tokenizer, save_untrained

from rlvr_world import cli
from rlvr_world.evaluation.comparison import Comparison, warn_of_split
from rlvr_world.evaluation.evaluate import evaluate
from rlvr_world.video.data.video import VideoDataModule
from rlvr_world.video.published.command import SPLIT
from rlvr_world.video.rewards.frames import MAE
from rlvr_world.video.sources.npz import NPZConverter

EPISODES, SHORT = 10, 3  # the episode of this number has four frames


def settings_of(name):
    """What a preset's evaluation.yaml says."""
    cli.import_rooms()
    parser = ArgumentParser()
    parser.add_argument("-c", action="config")
    parser.add_function_arguments(evaluate, as_group=False, sub_configs=True)
    return parser.parse_args(["-c", str(ROOT / f"configs/{name}/evaluation.yaml"), "--output", "x"])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A clip of RT-1, or noise, as ten test episodes, whose actions count the frames, in shards."""
    folder = tmp_path_factory.mktemp("rt1")
    (folder / "in").mkdir()
    frames = np.random.default_rng(0).integers(256, size=(22, 32, 40, 3), dtype=np.uint8)
    if RT1_FRAMES.exists():
        frames = np.load(RT1_FRAMES)["image"][:, ::8, ::8]
    assert len(np.unique(frames.reshape(len(frames), -1), axis=0)) == len(frames)
    for index in range(EPISODES):
        image = frames[:4] if index == SHORT else frames
        action = np.repeat(np.arange(len(image), dtype=np.float32)[:, None], 13, axis=1)
        np.savez(folder / f"in/test_eps_{index:08d}.npz", image=image, action=action)
    options = {"split_by": "file", "val_share": 0, "episodes_per_shard": 4, "processes": 1}
    NPZConverter(folder / "in", folder / "out", **options).record()
    return folder / "out", frames


def clips(root, name, rank=0, world=1):
    """The clips that a preset evaluates on, by episode: times of frames, context frames."""
    options = settings_of(name).data.init_args.as_dict() | {"root": str(root), "num_workers": 0}
    data = VideoDataModule(**options)
    data.trainer = SimpleNamespace(global_rank=rank, world_size=world)
    batches = list(data.test_dataloader())
    assert len(batches) == -(-EPISODES // world // 4)
    found = {}
    for batch in batches:
        contexts = batch.get("context", batch["frames"][:, 0])
        for key, *rest in zip(
            batch["key"], batch["frames"], batch["actions"], contexts, strict=True
        ):
            found[int(key.split(":")[0][-6:])] = rest
    return found


def written_protocol(index, frames, length, gap):
    """Times of a clip and of its context frame, by the words of the specification."""
    np.random.seed(index)
    start = np.random.randint(max(frames - length + 1, 1))
    context = np.random.randint(max(start - gap, 0), start + 1)
    return [min(start + step, frames - 1) for step in range(length)], context


@pytest.mark.parametrize(("name", "length"), [("rt1", 5), ("rt1/multi_step", 8)])
def test_clips_and_context_frames_are_the_written_ones(recorded, name, length):
    root, frames = recorded
    found = clips(root, name)
    assert sorted(found) == list(range(EPISODES))
    starts = set()
    for index, (clip, actions, context) in found.items():
        times, before = written_protocol(index, 4 if index == SHORT else len(frames), length, 15)
        assert actions[:, 0].tolist() == times
        assert np.array_equal(clip.permute(0, 2, 3, 1).numpy(), frames[times])
        if name == "rt1/multi_step":
            assert np.array_equal(context.permute(1, 2, 0).numpy(), frames[before])
        starts.add(times[0])
    assert len(starts) > 4


def test_ranks_share_the_same_clips(recorded):
    root, _ = recorded
    alone = clips(root, "rt1/multi_step")
    shared = clips(root, "rt1/multi_step", 0, 2) | clips(root, "rt1/multi_step", 1, 2)
    assert shared.keys() == alone.keys()
    for index, parts in alone.items():
        assert all(torch.equal(a, b) for a, b in zip(parts, shared[index], strict=True))


@pytest.mark.parametrize("name", ["rt1", "rt1/multi_step"])
def test_one_sample_of_the_most_likely_hundred_tokens(name):
    settings = settings_of(name)
    assert (settings.seeds, settings.data.init_args.eval_clips_per_episode) == (1, 1)
    assert settings.samplers.keys() == settings.models.keys()
    for sampler in settings.samplers.values():
        given = sampler.init_args
        assert (given.temperature, given.top_k, given.top_p) == (1, 100, None)
    assert settings.metrics["lpips"].init_args.backbone == "vgg"
    assert {"mae", "mse", "psnr", "ssim", "lpips"} <= settings.metrics.keys()
    training = settings.data.init_args.context_gap, settings.data.init_args.clip_length
    assert training == ((15, 8) if "multi" in name else (None, 5))


@pytest.mark.parametrize(
    ("source", "rule", "parent", "warns"),
    [
        ("npz", "paper", {"split": SPLIT}, False),
        ("npz", "episode", {"split": SPLIT}, True),
        ("rlds", "paper", {"split": SPLIT}, True),
        ("rlds", "episode", {}, False),
        ("rlds", "episode", None, False),
    ],
)
def test_a_published_model_is_scored_on_its_own_split(source, rule, parent, warns, recwarn):
    manifest = SimpleNamespace(source=source, settings={"split_by": rule})
    data = SimpleNamespace(root="data/rt1", manifest=manifest)
    warn_of_split("mle", {"parent": parent}, data)
    assert [str(each.message)[:28] for each in recwarn] == ["models.mle was trained on a "] * warns


def test_a_comparison_warns_of_it(tmp_path):
    tokenizer = export_tokenizer(tmp_path / "tokenizer")
    path = save_untrained(tmp_path / "mle.ckpt", tokenizer)
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["provenance"]["parent"] = {"split": SPLIT}
    torch.save(checkpoint, path)
    data = TinyVideo()
    data.root, data.manifest = "data/rt1", SimpleNamespace(source="rlds", settings={})
    with pytest.warns(UserWarning, match="models.mle was trained on a split of its own"):
        Comparison(data, {"mle": path}, {"mae": MAE()}, rewards={}, device="cpu")
