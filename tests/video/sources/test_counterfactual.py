from importlib.util import find_spec

import numpy as np
import pytest

from rlvr_world.data.samples import read_members
from rlvr_world.video.data.episodes import decode_episode
from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.video import VideoDataModule, episodes
from rlvr_world.video.sources.counterfactual import CounterfactualRecorder, clip_starts
from rlvr_world.video.sources.metaworld import MetaWorldSimulator
from rlvr_world.video.sources.pusht import Episodes, PushTRecorder, PushTSimulator

SPLITS = ("test", "test_counterfactual", "test_ood")
OPTIONS = {"length": 4, "given": 2, "clips_per_episode": 2, "processes": 1}


def pusht(root):
    pytest.importorskip("gym_pusht", reason="gym-pusht is not installed")
    PushTRecorder(root, Episodes(1, 1, 3), length=12, processes=1).record()


def metaworld(root):
    if find_spec("metaworld") is None:  # importing it here would choose how pictures are drawn
        pytest.skip("metaworld is not installed")
    from rlvr_world.video.sources.metaworld import MetaWorldRecorder

    try:
        MetaWorldRecorder(
            root, Episodes(1, 1, 4), ["drawer-open", "push"], (0.4,), length=12, processes=1
        ).record()
    except ModuleNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", params=[pusht, metaworld], ids=lambda record: record.__name__)
def recording(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("recording")
    request.param(str(root))
    return root


@pytest.fixture(scope="module")
def made(recording, tmp_path_factory):
    """The clips of each split, which begin alike."""
    root = tmp_path_factory.mktemp("counterfactual")
    manifest = CounterfactualRecorder(recording, str(root), **OPTIONS).record()
    clips = {}
    for split in SPLITS:
        shards = [root / shard.name for shard in manifest.splits[split].shards]
        clips[split] = [decode_episode(raw) for shard in shards for raw in read_members(shard)]
    return root, clips


def test_the_recorded_actions_bring_back_the_recording(recording, made):
    _, clips = made
    recorded = {e["json"]["episode"]: e for e in episodes(recording, "test")}
    assert len(clips["test"]) == 2 * len(recorded)
    for clip in clips["test"]:
        start = clip["json"]["start"]
        for name in ("frames", "actions", "states"):
            expected = recorded[clip["json"]["episode"]][name][start : start + 4]
            np.testing.assert_array_equal(clip[name], expected)


@pytest.mark.parametrize("split", SPLITS[1:])
def test_other_actions_begin_alike_and_end_elsewhere(made, split):
    _, clips = made
    ends = []
    for own, other in zip(clips["test"], clips[split], strict=True):
        assert own["key"] == other["key"]
        np.testing.assert_array_equal(own["frames"][:2], other["frames"][:2])
        np.testing.assert_array_equal(own["states"][:2], other["states"][:2])
        np.testing.assert_array_equal(own["actions"][0], other["actions"][0])
        assert (own["actions"][1:] != other["actions"][1:]).any()
        ends.append((own["frames"][-1] != other["frames"][-1]).any())
    assert np.mean(ends) > 0.9


def test_swapped_moves_are_those_of_the_clip_that_is_named(recording, made):
    manifest = Manifest.load(recording)
    own = {clip["key"]: clip for clip in made[1]["test"]}
    for clip in made[1]["test_counterfactual"]:
        source = own[clip["json"]["actions_of"]]
        assert source["json"]["episode"] != clip["json"]["episode"]
        if manifest.source == "metaworld":
            assert source["json"]["episode"] % 2 == clip["json"]["episode"] % 2
            np.testing.assert_array_equal(clip["actions"][1:], source["actions"][1:])
        else:
            moves = [c["actions"][1:] - c["states"][1:, :2] for c in (clip, source)]
            inside = (np.abs(clip["actions"][1:] - 256) < 144.9).all(axis=1)
            np.testing.assert_allclose(moves[0][inside], moves[1][inside], atol=1e-3)


def test_the_data_module_tests_on_any_of_the_splits(made):
    root, clips = made
    for split in SPLITS:
        data = VideoDataModule(str(root), 4, eval_clips_per_episode=1, test_split=split)
        batches = list(data.test_dataloader())
        actions = np.concatenate([batch["actions"] for batch in batches])
        np.testing.assert_array_equal(actions, [clip["actions"] for clip in clips[split]])
    with pytest.raises(ValueError, match="nothing in its split test_odd"):
        VideoDataModule(str(root), 4, test_split="test_odd").test_dataloader()


@pytest.mark.slow
def test_a_second_run_writes_the_same_bytes(recording, made, tmp_path):
    root, _ = made
    other = CounterfactualRecorder(recording, str(tmp_path), **OPTIONS | {"processes": 2}).record()
    assert other.fingerprint == Manifest.load(root).fingerprint


def test_a_recording_that_cannot_be_played_again_is_named(tmp_path):
    pusht(tmp_path / "recording")
    manifest = Manifest.load(tmp_path / "recording")
    manifest.settings["seed"] += 1
    manifest.save(tmp_path / "recording")
    recorder = CounterfactualRecorder(tmp_path / "recording", **OPTIONS)
    with pytest.raises(ValueError, match="test-000000 looks different when it is played again"):
        recorder.record()
    manifest.source = "bridge"
    manifest.save(tmp_path / "recording")
    with pytest.raises(ValueError, match="made from bridge, which cannot be played again"):
        CounterfactualRecorder(tmp_path / "recording", **OPTIONS)


@pytest.mark.parametrize("wrong", [{"length": 13}, {"given": 0}, {"given": 4}])
def test_clips_that_do_not_fit_are_named(recording, tmp_path, wrong):
    with pytest.raises(ValueError, match=r"length .* must be at most the 12 frames"):
        CounterfactualRecorder(recording, str(tmp_path), **OPTIONS | wrong)


def test_one_episode_has_nothing_to_swap_with(tmp_path):
    pytest.importorskip("gym_pusht", reason="gym-pusht is not installed")
    PushTRecorder(str(tmp_path / "one"), Episodes(1, 1, 1), length=6, processes=1).record()
    with pytest.raises(ValueError, match="one test episode of a task only"):
        CounterfactualRecorder(tmp_path / "one", **OPTIONS).record()


def test_clips_start_evenly_over_an_episode():
    assert clip_starts(12, 4, 3) == [0, 4, 8]
    assert clip_starts(4, 4, 3) == [0]
    assert clip_starts(3, 4, 3) == []
    assert clip_starts(10, 4, 1) == [0]


def test_unusual_moves():
    rng = np.random.default_rng(0)
    moves = np.array([[3.0, 4.0], [6.0, 8.0]], np.float32)
    settings = {"view": {"side": 320, "image_size": 64}}
    turned = PushTSimulator(settings).unusual(moves, rng)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=1), [10, 20], rtol=1e-5)
    cosine = (turned * moves).sum(axis=1) / (2 * (moves**2).sum(axis=1))
    assert cosine[0] == pytest.approx(cosine[1])
    assert cosine[0] >= 0.5
    actions = np.tile(np.array([0.1, -0.2, 0.0, 0.7], np.float32), (5, 1))
    unusual = MetaWorldSimulator({"tasks": ["push"]}).unusual(actions, rng)
    assert (unusual == unusual[0]).all()
    assert np.abs(unusual[0, :3]).max() == 1
    assert unusual[0, 3] == -1
