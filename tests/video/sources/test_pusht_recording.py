import hashlib
import json
import subprocess
import sys
import textwrap
from dataclasses import asdict

import numpy as np
import pytest

from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.video import episodes
from rlvr_world.video.scenes.pusht import (
    View,
    block_centre,
    block_mask,
    block_moves,
    block_vertices,
    mask_iou,
    pixels_of,
)
from rlvr_world.video.sources.pusht import (
    Episodes,
    PushTRecorder,
    PushTSimulator,
    import_simulator,
)

SMALL = {"episodes": Episodes(train=26, val=1, test=1), "length": 4, "processes": 1}


def contents(root):
    return {path.name: path.read_bytes() for path in sorted(root.iterdir())}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    root = tmp_path_factory.mktemp("pusht")
    PushTRecorder(str(root), **SMALL).record()
    return root


@pytest.fixture(scope="module")
def plain_episodes():
    simulator = PushTSimulator({"action_repeat": 2, "view": asdict(View()), "seed": 0})
    films = []
    for index in range(12):
        simulator.begin("train", index)
        films.append({n.split(".")[0]: array for n, array in simulator.film(40).items()})
    return films


def test_manifest_describes_the_shards(recorded):
    manifest = Manifest.load(recorded)
    train = manifest.splits["train"]
    assert (train.episodes, train.frames, train.lengths) == (26, 104, {4: 26})
    assert [shard.episodes for shard in train.shards] == [25, 1]
    shard = recorded / train.shards[0].name
    assert hashlib.sha256(shard.read_bytes()).hexdigest() == train.shards[0].sha256
    assert train.shapes == {"frames": (64, 64, 3), "actions": (2,), "states": (5,)}
    actions = np.concatenate([e["actions"] for e in episodes(recorded, "train")])
    np.testing.assert_allclose(manifest.actions["max"], actions.max(axis=0))
    np.testing.assert_allclose(manifest.actions["q01"], np.quantile(actions, 0.01, axis=0))
    moves = [block_moves(e["states"])[1:] for e in episodes(recorded, "train")]
    assert train.share_moving == pytest.approx(np.mean(moves))


def test_same_seed_same_bytes_with_any_number_of_processes(recorded, tmp_path):
    PushTRecorder(str(tmp_path), **SMALL | {"processes": 2}).record()
    assert contents(tmp_path) == contents(recorded)
    other = PushTRecorder(str(tmp_path / "other"), Episodes(1, 1, 1), length=4, seed=1, processes=1)
    assert other.record().fingerprint != Manifest.load(recorded).fingerprint


def test_goes_on_where_it_stopped(recorded, tmp_path):
    for name, data in contents(recorded).items():
        if name not in ("train-000001.tar", "manifest.json"):
            (tmp_path / name).write_bytes(data)
    (tmp_path / "train-000001.tar.part").write_bytes(b"cut short")
    kept = (tmp_path / "train-000000.tar").stat().st_mtime_ns
    PushTRecorder(str(tmp_path), **SMALL).record()
    assert contents(tmp_path) == contents(recorded)
    assert (tmp_path / "train-000000.tar").stat().st_mtime_ns == kept


def test_other_settings_in_the_same_folder(recorded):
    before = contents(recorded)
    with pytest.raises(ValueError, match=rf"{recorded.name} was made with length 4, not 5"):
        PushTRecorder(str(recorded), **SMALL | {"length": 5}).record()
    assert contents(recorded) == before


def test_the_block_is_where_the_simulator_draws_it(plain_episodes):
    frames = np.stack([e["frames"] for e in plain_episodes]).transpose(0, 1, 4, 2, 3)
    states = np.stack([e["states"] for e in plain_episodes])
    poses = states[..., 2:]
    apart = np.linalg.norm(states[..., :2] - block_centre(poses), axis=-1) > 95
    inside = np.abs(block_vertices(poses) - 256).max(axis=(-1, -2)) < 158
    seen = apart & inside
    assert seen.sum() > 10
    iou = mask_iou(pixels_of("block", frames), block_mask(poses, View()) > 0.5)
    assert iou[seen].min() > 0.9
    assert np.median(iou) > 0.9


def test_vertices_are_those_of_the_simulator():
    env = import_simulator()(obs_type="state")
    state, _ = env.reset(options={"reset_to_state": [100, 100, 250, 260, 1.0]})
    corners = [env.block.local_to_world(v) for s in env.block.shapes for v in s.get_vertices()]
    ours = block_vertices(state[2:])
    np.testing.assert_allclose(sorted(ours.tolist()), sorted(map(list, corners)), atol=1e-9)


def test_the_policy_pushes_within_the_view(plain_episodes):
    states = np.stack([e["states"] for e in plain_episodes])
    assert block_moves(states)[:, 1:].mean() > 0.6
    assert (np.abs(block_centre(states[..., 2:]) - 256).max(axis=-1) < 160).all()
    assert (np.abs(states[..., :2] - 256).max(axis=-1) < 160).all()
    steps = np.linalg.norm(np.diff(states[..., :2], axis=1), axis=-1)
    assert np.quantile(steps, 0.05) > 5
    assert steps.max() < 40


def test_an_action_moves_the_agent_after_its_own_frame(plain_episodes):
    for episode in plain_episodes:
        agent, target = episode["states"][:, :2], episode["actions"]
        before = np.linalg.norm(target[:-1] - agent[:-1], axis=1)
        after = np.linalg.norm(target[:-1] - agent[1:], axis=1)
        assert np.mean(after < before) > 0.95


def test_a_sticky_world_does_the_action_before_as_often_as_it_says():
    settings = {"action_repeat": 1, "view": asdict(View()), "seed": 0, "sticky": 0.3}
    simulator, places = PushTSimulator(settings), np.random.default_rng(0).uniform(150, 350, (9, 2))
    ends = {False: [], True: []}
    for index in range(30):
        simulator.begin("train", index)
        for asked in places:
            agent, before = simulator.now[:2], simulator.done
            simulator.step(asked)
            done = np.array_equal(simulator.done, asked)
            assert done or np.array_equal(simulator.done, before)
            towards = np.dot(simulator.now[:2] - agent, asked - agent)
            ends[done].append(towards > 0)
    assert len(ends[False]) / 270 == pytest.approx(0.3, abs=0.06)
    assert np.mean(ends[True]) > 0.8 > np.mean(ends[False])


def test_a_sticky_recording_repeats_itself_and_says_so(tmp_path):
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        PushTRecorder(str(folder), **SMALL, sticky=0.3).record()
    assert contents(folders[0]) == contents(folders[1])
    assert Manifest.load(folders[0]).settings["sticky"] == 0.3
    with pytest.raises(ValueError, match="sticky must be"):
        PushTRecorder(str(tmp_path / "c"), **SMALL, sticky=1)


def test_records_where_opencv_cannot_be_imported(tmp_path):
    program = textwrap.dedent(
        """
        import sys

        class NoGL:
            def find_spec(self, name, path=None, target=None):
                if name == "cv2":
                    raise ImportError("libGL.so.1: cannot open shared object file")

        sys.meta_path.insert(0, NoGL())
        from rlvr_world.video.sources.pusht import Episodes, PushTRecorder
        PushTRecorder(sys.argv[1], Episodes(1, 1, 1), length=2, processes=1).record()
        """
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=120)
    (episode,) = episodes(tmp_path, "test")
    assert pixels_of("block", episode["frames"]).sum(axis=(1, 2)).min() > 100
    assert json.loads((tmp_path / "settings.json").read_text())["length"] == 2
