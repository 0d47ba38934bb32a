"""The examples of the README work as they are written, from a folder that holds nothing else."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from stages import ROOT, checkpoint

README = ROOT / "README.md"
BLOCKS = dict(re.findall(r"```\w+\n# (\S+\.(?:py|yaml))\n(.*?)```", README.read_text(), re.DOTALL))


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
    for name, text in BLOCKS.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_readme_has_the_examples():
    assert set(BLOCKS) == {"edges.py", "edges.yaml", "lamps.py", "lamps.yaml"}


def test_add_a_reward(examples, workplace):
    overlays = ("-c", "configs/trainer/debug.yaml", "-c", str(examples / "edges.yaml"))
    rlvr_world(workplace, "fit", "-c", "configs/pusht/rlvr.yaml", *overlays,
               "--model.group_size", "4", "--run", "edges")  # fmt: skip
    settings = torch.load(checkpoint("edges"), weights_only=True)["hyper_parameters"]
    assert set(settings["rewards"]) == {"mae", "edges"}


def test_add_a_modality(examples):
    rlvr_world(examples, "fit", "-c", "lamps.yaml", "--trainer.enable_progress_bar", "false")
    runs = Path("checkpoints", examples.name)
    assert (examples / runs / "lamps/checkpoints/best.ckpt").exists()
    (examples / "rlvr.yaml").write_text(
        "run: rlvr\n"
        "model:\n  class_path: RLVRWorldModel\n  init_args:\n"
        "    weights: lamps\n    rewards: {right: {class_path: lamps.LampsRight}}\n"
        "trainer: {max_epochs: 1, enable_progress_bar: false}\n"
    )
    rlvr_world(examples, "fit", "-c", "lamps.yaml", "-c", "rlvr.yaml")
    last = torch.load(examples / runs / "rlvr/checkpoints/last.ckpt", weights_only=True)
    assert last["provenance"]["parent"]["path"] == str(runs / "lamps/checkpoints/last.ckpt")
