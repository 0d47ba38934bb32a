import json
import subprocess
import sys
import textwrap
from importlib.util import find_spec

import numpy as np
import pytest

from rlvr_world.video.data.manifest import Manifest
from rlvr_world.video.data.video import episodes
from rlvr_world.video.sources.metaworld import MetaWorldRecorder
from rlvr_world.video.sources.metaworld_scene import object_moves, open_scene
from rlvr_world.video.sources.recorder import Episodes

for package in ("metaworld", "fast_simplification"):
    if find_spec(package) is None:  # importing it here would choose how pictures are drawn
        pytest.skip(f"{package} is not installed", allow_module_level=True)

GREEN_DRAWER = np.array([130, 205, 130])
SMALL = {
    "episodes": Episodes(train=26, val=1, test=2),
    "tasks": ["drawer-open", "push"],
    "length": 3,
    "processes": 1,
}


@pytest.fixture(scope="module", autouse=True)
def _drawing():
    """Skip where no picture can be drawn; in a process of its own, since drivers may crash."""
    program = (
        "from rlvr_world.video.sources.metaworld_scene import open_scene; open_scene('push', 16)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=100)
    if done.returncode:
        pytest.skip("nothing draws without a screen here: install libegl1 or libosmesa6")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    root = tmp_path_factory.mktemp("metaworld")
    MetaWorldRecorder(str(root), **SMALL).record()
    return root


@pytest.fixture(scope="module")
def drawers():
    """The scene of a drawer, closed and then opened by the scripted policy, frame by frame."""
    scene, frames, states = open_scene("drawer-open", 64), [], []
    scene.reset(3)
    for _ in range(24):
        frames.append(scene.frame())
        states.append(scene.state)
        scene.step(scene.scripted_action(), 4)
    return np.stack(frames), np.stack(states)


def contents(root):
    return {path.name: path.read_bytes() for path in sorted(root.iterdir())}


def green(frames):
    """Where frames show the drawer, [..., H, W]."""
    red, level, blue = np.moveaxis(frames.astype(int), -1, 0)
    return (level > red + 30) & (level > blue + 30)


def test_manifest_describes_the_shards(recorded):
    manifest = Manifest.load(recorded)
    train = manifest.splits["train"]
    assert (train.episodes, train.frames, train.lengths) == (26, 78, {3: 26})
    assert train.shapes == {"frames": (64, 64, 3), "actions": (4,), "states": (7,)}
    assert {"metaworld", "mujoco"} <= manifest.versions.keys()
    assert min(manifest.actions["min"]) >= -1
    assert max(manifest.actions["max"]) <= 1
    states = [episode["states"] for episode in episodes(recorded, "train")]
    assert train.share_moving == pytest.approx(np.mean([object_moves(s) for s in states]))


def test_another_process_writes_the_same_bytes(recorded, tmp_path):
    program = textwrap.dedent(
        f"""
        import sys
        from rlvr_world.video.sources.metaworld import Episodes, MetaWorldRecorder
        settings = {SMALL!r} | {{"processes": 2}}
        if __name__ == "__main__":
            MetaWorldRecorder(sys.argv[1], **settings).record()
        """
    )
    (tmp_path / "record.py").write_text(program)
    command = [sys.executable, str(tmp_path / "record.py"), str(tmp_path / "again")]
    subprocess.run(command, check=True, timeout=300)
    assert contents(tmp_path / "again") == contents(recorded)


def test_tasks_and_noise_take_turns_and_episodes_differ(recorded):
    found = list(episodes(recorded, "train"))
    assert [e["json"]["task"] for e in found[:4]] == ["drawer-open", "push", "drawer-open", "push"]
    assert [e["json"]["noise"] for e in found[:9:2]] == [0.0, 0.2, 0.4, 0.8, 0.0]
    starts = {tuple(episode["states"][0, 4:7]) for episode in found}
    assert len(starts) == 26


def test_frames_show_the_scene(recorded):
    """OSMesa can hand out uninitialised memory: noise, or one colour."""
    for episode in episodes(recorded, "train"):
        frames = episode["frames"].transpose(0, 2, 3, 1).astype(int)
        steps = np.abs(np.diff(frames, axis=2)).mean()
        assert 2 < steps < 20
        assert 60 < frames.mean() < 180
        shown = green(frames).sum(axis=(1, 2))
        assert (shown > 50).all() if episode["json"]["task"] == "drawer-open" else not shown.any()


def test_the_drawer_is_seen_to_open(drawers):
    frames, states = drawers
    assert states[-1, 5] < states[0, 5] - 0.15  # towards the robot, along y
    assert green(frames[-1]).sum() > 1.3 * green(frames[0]).sum()
    moving = object_moves(states)
    change = np.abs(np.diff(frames.astype(int), axis=0)).mean(axis=(1, 2, 3))
    assert moving.any()
    assert (change[moving] > 0.5).all()


def test_pictures_follow_the_state_only():
    scene = open_scene("drawer-open", 64)
    scene.reset(3)
    first = scene.frame()
    scene.step(np.array([1, 1, 1, 1], np.float32), 8)
    moved = scene.frame()
    scene.reset(4)
    other = scene.frame()
    scene.reset(3)
    assert np.array_equal(scene.frame(), first)
    for picture in (moved, other):
        changed = (picture != first).any(axis=-1).mean()
        assert 0.02 < changed < 0.6


def test_simple_meshes_look_like_the_full_ones():
    scene = open_scene("drawer-open", 64)
    scene.reset(3)
    mujoco, env = scene.mujoco, scene.env
    assert scene.model.mesh_facenum.sum() < env.model.mesh_facenum.sum() / 10
    env.model.vis.quality.offsamples = 0
    renderer = mujoco.Renderer(env.model, 64, 64)
    renderer.scene.flags[:] = scene.renderer.scene.flags
    renderer.update_scene(env.data, scene.camera, scene.shown)
    full = renderer.render().copy()
    simple = scene.frame()
    assert np.abs(full.astype(int) - simple).mean() < 6
    renderer.close()
    assert np.array_equal(scene.frame(), simple)


def test_actions_move_the_gripper_their_way():
    scene = open_scene("drawer-open", 64)
    for axis in range(3):
        for sign in (-1, 1):
            scene.reset(0)
            before = scene.state
            action = np.zeros(4, np.float32)
            action[axis] = sign
            scene.step(action, 8)
            moved = scene.state[:3] - before[:3]
            assert np.argmax(np.abs(moved)) == axis
            assert moved[axis] * sign > 0.02


def test_goes_on_where_it_stopped(recorded, tmp_path):
    for name, data in contents(recorded).items():
        if name not in ("train-000001.tar", "manifest.json"):
            (tmp_path / name).write_bytes(data)
    MetaWorldRecorder(str(tmp_path), **SMALL).record()
    assert contents(tmp_path) == contents(recorded)
    assert json.loads((tmp_path / "settings.json").read_text())["tasks"] == SMALL["tasks"]


def test_clear_errors(recorded, tmp_path):
    with pytest.raises(ValueError, match=r"no task 'drawer'; it has .*drawer-open"):
        MetaWorldRecorder(str(tmp_path), **SMALL | {"tasks": ["drawer"]}).record()
    with pytest.raises(ValueError, match="tasks must not be empty"):
        MetaWorldRecorder(str(tmp_path), **SMALL | {"tasks": []})
    with pytest.raises(ValueError, match=rf"{recorded.name} was made with length 3, not 5"):
        MetaWorldRecorder(str(recorded), **SMALL | {"length": 5}).record()
