"""What an analysis of a tiny video model needs: a recording, an MLE checkpoint and two configs."""

import json

import numpy as np
import yaml
from tiny_video import SIZE, export_tokenizer, save_untrained

from rlvr_world.data.samples import write_shard
from rlvr_world.video.data.manifest import Manifest

VIDEO = "rlvr_world.video.rewards.frames"
DEBUG = {
    "accelerator": "cpu", "max_steps": 4, "limit_train_batches": 2, "limit_val_batches": 1,
    "num_sanity_val_steps": 0, "log_every_n_steps": 1, "enable_progress_bar": False,
    "enable_model_summary": False,
}  # fmt: skip


def record(root, seed=0):
    """Episodes of white noise."""
    random = np.random.default_rng(seed)
    for split, count in {"train": 4, "val": 2, "test": 2}.items():
        episodes = [
            (f"{split}-{index}", {
                "frames.png": random.integers(256, size=(3, SIZE, SIZE, 3), dtype=np.uint8),
                "actions.npy": random.random((3, 2), dtype=np.float32),
                "json": {"episode": index},
            })
            for index in range(count)
        ]  # fmt: skip
        write_shard(root / f"{split}-000000.tar", episodes)
    Manifest.build(root, "noise", {}).save(root)
    return root


def settings(folder, model, backbone=None, **options):
    """The YAML of a run on the recording."""
    data = {"class_path": "rlvr_world.video.data.video.VideoDataModule",
            "init_args": {"root": str(folder / "data"), "clip_length": 3, "batch_size": 2,
                          "samples_per_epoch": 8}}  # fmt: skip
    codec = {"class_path": "rlvr_world.video.codecs.frame.FrameCodec",
             "init_args": {"tokenizer": str(folder / "tokenizer"), "frame_size": [SIZE, SIZE],
                           "context_frames": 2, "action_low": [0, 0],
                           "action_high": [1, 1]}}  # fmt: skip
    transformer = {"class_path": "rlvr_world.nn.transformer.Transformer",
                   "init_args": {"dim": 16, "depth": 1, "heads": 2}}  # fmt: skip
    return {
        "data": data,
        "model": {
            "class_path": f"rlvr_world.modules.{model}",
            "init_args": {"codec": codec, "backbone": transformer, **options},
        },
        "trainer": DEBUG,
    }


def prepare(folder):
    """Write the recording, the checkpoint mle.ckpt, and mle.yaml, rlvr.yaml and evaluation.yaml."""
    record(folder / "data")
    export_tokenizer(folder / "tokenizer")
    save_untrained(folder / "mle.ckpt", folder / "tokenizer")
    mae = {"mae": {"class_path": f"{VIDEO}.MAE"}}
    rlvr = settings(
        folder, "rlvr.RLVRWorldModel", rewards=mae, group_size=2, num_minibatches=2,
        weights=str(folder / "mle.ckpt"),
    )  # fmt: skip
    evaluation = {
        "data": rlvr["data"], "models": {"mle": "x", "rlvr": "y"}, "tune": {"tuned": "rlvr"},
        "metrics": {"mse": {"class_path": f"{VIDEO}.MSE"}}, "output": "x",
    }  # fmt: skip
    configs = {"mle": settings(folder, "mle.MLEWorldModel"), "rlvr": rlvr}
    for name, config in (configs | {"evaluation": evaluation}).items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(config))))
    return folder
