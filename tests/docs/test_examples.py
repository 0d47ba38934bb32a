"""The examples of the pages work as they are written, from a folder that holds nothing else."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from markdown import named_blocks, write_named_blocks
from stages import ROOT, checkpoint

from rlvr_world.cli import main
from rlvr_world.video.data.video import VideoDataModule


def rlvr_world(folder, *args):
    """Run the console command as a user does: only the package itself is importable."""
    python = [sys.executable, "-P", "-c", "from rlvr_world.cli import console; console()"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*python, *args], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def examples(tmp_path):
    write_named_blocks(tmp_path)
    return tmp_path


def test_pages_have_the_examples():
    names = {f"{name}.{end}" for name in ("edges", "lamps", "quiet") for end in ("py", "yaml")}
    assert set(named_blocks()) == {*names, "rlvr.yaml"}


def test_add_a_reward(examples, workplace):
    overlays = ("-c", "configs/trainer/debug.yaml", "-c", str(examples / "edges.yaml"))
    rlvr_world(workplace, "fit", "-c", "configs/pusht/rlvr.yaml", *overlays,
               "--model.group_size", "4", "--run", "edges")  # fmt: skip
    settings = torch.load(checkpoint("edges"), weights_only=True)["hyper_parameters"]
    assert set(settings["rewards"]) == {"mae", "edges"}


def test_a_reward_that_looks_at_the_action(examples, workplace, monkeypatch):
    monkeypatch.syspath_prepend(examples)
    data = VideoDataModule(root="data/pusht", clip_length=3)
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    still, moved = (batch["frames"][:, t : t + 1] / 255 for t in (1, 0))
    reward = import_module("quiet").QuietMotion(weight=0)
    assert not reward.score(still, moved, batch).any()
    assert reward.score(moved, still, batch).gt(0).any()
    with pytest.raises(SystemExit, match="0"):
        main(["fit", "-c", "configs/pusht/rlvr.yaml", "-c", str(examples / "quiet.yaml"),
              "--print_config"])  # fmt: skip


def test_add_a_modality(examples):
    rlvr_world(examples, "fit", "-c", "lamps.yaml", "--trainer.enable_progress_bar", "false")
    runs = Path("checkpoints", examples.name)
    assert (examples / runs / "lamps/checkpoints/best.ckpt").exists()
    rlvr_world(examples, "fit", "-c", "lamps.yaml", "-c", "rlvr.yaml")
    last = torch.load(examples / runs / "rlvr/checkpoints/last.ckpt", weights_only=True)
    assert last["provenance"]["parent"]["path"] == str(runs / "lamps/checkpoints/last.ckpt")
