"""TFRecords as Open X-Embodiment has them, written with the ``tfrecord`` package's own writer."""

import io

import numpy as np
import pytest
from PIL import Image
from stages import ROOT

BRIDGE = ROOT.parent / "shared/data/bridge"
RT1_FRAMES = ROOT.parent / "shared/data/rt1/fractal_sample.npz"

needs_bridge = pytest.mark.skipif(not BRIDGE.exists(), reason=f"{BRIDGE} is not at hand")
needs_rt1 = pytest.mark.skipif(not RT1_FRAMES.exists(), reason=f"{RT1_FRAMES} is not at hand")

ACTION = {
    "world_vector": 3,
    "rotation_delta": 3,
    "gripper_closedness_action": 1,
    "base_displacement_vector": 2,
    "base_displacement_vertical_rotation": 1,
    "terminate_episode": 3,
}
"""RT-1's parts of an action, in another order than the paper's."""

PAPER_ORDER = sorted(ACTION)


def jpeg(frame, kind="JPEG"):
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, kind)
    return buffer.getvalue()


def moving_square(length=6, height=32, width=40, seed=0):
    """Frames [T, H, W, 3] of a square that moves over a background."""
    frames = np.full((length, height, width, 3), 40 + 30 * (seed % 5), np.uint8)
    for time, frame in enumerate(frames):
        frame[8:16, 2 * time : 2 * time + 8] = (220, 60, 20 * (seed % 10))
    return frames


def rt1_episode(seed=0, frames=None, **sizes):
    """The features of one RT-1 episode, and its action [T, 13] in the paper's order."""
    frames = moving_square(seed=seed, **sizes) if frames is None else frames
    length = len(frames)
    rng = np.random.default_rng(seed)
    parts = {name: rng.normal(size=(length, dims)) for name, dims in ACTION.items()}
    parts["terminate_episode"] = np.eye(3, dtype=int)[rng.integers(3, size=length)]
    text = f"pick apple {seed}".encode()
    features = {
        "steps/observation/image": ([jpeg(frame) for frame in frames], "byte"),
        "steps/observation/natural_language_instruction": ([text] * length, "byte"),
        "steps/observation/natural_language_embedding": ([0.5] * 512 * length, "float"),
        "steps/observation/base_pose_tool_reached": ([0.25] * 7 * length, "float"),
        "steps/reward": ([0.0] * length, "float"),
        "steps/is_first": ([1] + [0] * (length - 1), "int"),
        "steps/is_last": ([0] * (length - 1) + [1], "int"),
    }
    for name, part in parts.items():
        kind = "int" if name == "terminate_episode" else "float"
        features[f"steps/action/{name}"] = (part.flatten().tolist(), kind)
    action = np.concatenate([parts[name] for name in PAPER_ORDER], axis=1)
    return features, action.astype(np.float32)


def write_records(path, episodes):
    """Write a file of records."""
    writer_module = pytest.importorskip("tfrecord.writer", reason="tfrecord is not installed")
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = writer_module.TFRecordWriter(str(path))
    for features in episodes:
        writer.write(features)
    writer.close()


def write_rt1(folder, files=2, per_file=5, split="train", **sizes):
    """A folder of RT-1's files; returns the action of each episode in order."""
    actions = []
    for number in range(files):
        seeds = range(number * per_file, (number + 1) * per_file)
        episodes = [rt1_episode(seed, **sizes) for seed in seeds]
        name = f"fractal20220817_data-{split}.tfrecord-{number:05d}-of-{files:05d}"
        write_records(folder / name, [features for features, _ in episodes])
        actions += [action for _, action in episodes]
    return actions
