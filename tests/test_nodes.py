"""Two machines, stood in for by two processes here, train as two devices of one do."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from lightning import Callback
from tiny_runs import prepared

from rlvr_world.modules.checkpoint import load_checkpoint

ROOT = Path(__file__).parents[1]
HERE = ("--trainer.accelerator", "cpu", "--trainer.precision", "32-true", "--trainer.devices", "1")
SRUN = f"""#!{sys.executable}
import os, subprocess, sys
command = [word for word in sys.argv[1:] if not word.startswith("--kill-on-bad-exit")]
own = {{"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "1", "SLURM_LOCALID": "0"}}
tasks = [
    subprocess.Popen(command, env=os.environ | own | {{"SLURM_PROCID": rank, "SLURM_NODEID": rank}})
    for rank in ("0", "1")
]
sys.exit(max(abs(task.wait()) for task in tasks))
"""
PRESET = """
data:
  class_path: VideoDataModule
  init_args: {{root: data, clip_length: 3, batch_size: 2, samples_per_epoch: 12, shuffle: 8,
              eval_clips_per_episode: 1}}
model:
  class_path: {kind}
  init_args:
    codec:
      class_path: FrameCodec
      init_args: {{tokenizer: tokenizer, context_frames: 2, frame_size: [32, 32],
                  action_low: [0, 0], action_high: [1, 1]}}
    backbone: {{class_path: Transformer, init_args: {{dim: 16, depth: 1, heads: 2}}}}
    {more}
trainer:
  max_epochs: 2
  num_sanity_val_steps: 0
  enable_progress_bar: false
  enable_model_summary: false
  logger: false
  callbacks: [{{class_path: test_nodes.AskedOnce}}]
"""


class AskedOnce(Callback):
    """In the first attempt of a job, SLURM asks each task of RLVR for an end at its own moment."""

    def on_train_batch_start(self, trainer, module, batch, index):
        is_job = "SLURM_JOB_ID" in os.environ and "SLURM_RESTART_COUNT" not in os.environ
        moment = 2 + trainer.global_rank
        if is_job and hasattr(module, "group_size") and trainer.global_step // 2 == moment:
            os.kill(os.getpid(), 10)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with a preset, its data and its tokenizer, and commands of a cluster."""
    folder = tmp_path_factory.mktemp("nodes")
    prepared(folder)
    (folder / "checkpoints/tiny").mkdir(parents=True)
    (folder / "tokenizer").rename(folder / "checkpoints/tiny/tokenizer")
    preset = folder / "configs/tiny"
    preset.mkdir(parents=True)
    more = "{weights: mle, rewards: {mae: {class_path: MAE}}, group_size: 2, num_minibatches: 2}"
    lines = yaml.dump(yaml.safe_load(more), indent=2).replace("\n", "\n    ")
    mle, rlvr = {"kind": "MLEWorldModel"}, {"kind": "RLVRWorldModel", "more": lines}
    (preset / "world_model.yaml").write_text("run: mle" + PRESET.format(more="", **mle))
    (preset / "rlvr.yaml").write_text(PRESET.format(**rlvr))
    commands = {
        "srun": SRUN,
        "scontrol": '#!/bin/sh\necho "$@" >> asked\n',
        "rlvr-world": f'#!/bin/sh\nexec {sys.executable} -m rlvr_world "$@"\n',
        "torchrun": f'#!/bin/sh\nexec {sys.executable} -m torch.distributed.run "$@"\n',
    }
    for name, text in commands.items():
        path = folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    return folder


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def start(workplace, *command, **variables):
    other = ("PYTEST", "SLURM", "MASTER", "RANK", "WORLD", "LOCAL_RANK", "NODE_RANK")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(other)}
    paths = (str(ROOT / "src"), str(ROOT), str(ROOT / "tests"))
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    environment["PATH"] = f"{workplace / 'bin'}:{environment['PATH']}"
    log = (workplace / "log.txt").open("a")
    return subprocess.Popen(command, cwd=workplace, env=environment | variables, stdout=log,
                            stderr=subprocess.STDOUT)  # fmt: skip


def end(workplace, code, *processes):
    """Processes end in time, each with this exit code."""
    try:
        codes = [process.wait(240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert codes == [code] * len(processes), (workplace / "log.txt").read_text()[-6000:]


def fit(config, run, *more):
    return ("rlvr-world", "fit", "-c", f"configs/tiny/{config}", "-c",
            "configs/trainer/multi_node.yaml", *HERE, "--run", run, *more)  # fmt: skip


def weights(workplace, run):
    checkpoint = load_checkpoint(workplace / f"checkpoints/tiny/{run}/checkpoints/last.ckpt")
    return checkpoint["state_dict"]


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.fixture(scope="module")
def whole(workplace):
    """What two devices of one machine have learnt, by MLE and by RLVR."""
    one = ("--trainer.num_nodes", "1", "--trainer.devices", "2")
    for options in (("world_model.yaml", "mle"), ("rlvr.yaml", "rlvr")):
        process = start(workplace, *fit(*options), *one, MASTER_PORT=free_port())
        end(workplace, 0, process)
    return [weights(workplace, run) for run in ("mle", "rlvr")]


@pytest.mark.slow
def test_two_machines_by_hand(workplace, whole):
    port, command = free_port(), fit("world_model.yaml", "by-hand")
    places = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    nodes = [start(workplace, *command, NODE_RANK=rank, **places) for rank in ("0", "1")]
    end(workplace, 0, *nodes)
    assert same(weights(workplace, "by-hand"), whole[0])


@pytest.mark.slow
def test_the_slurm_file_is_queued_again_and_ends_with_the_same_weights(workplace, whole):
    job = {"SLURM_JOB_ID": "4242", "SLURM_JOB_NAME": "rlvr-world", "SLURM_NNODES": "2",
           "SLURM_NODELIST": "127.0.0.1", "SLURM_CPUS_PER_TASK": "1"}  # fmt: skip
    command = ("bash", str(ROOT / "configs/cluster/slurm.sbatch"), "configs/tiny", *HERE)
    end(workplace, 138, start(workplace, *command, MASTER_PORT=free_port(), **job))
    assert (workplace / "asked").read_text() == "requeue 4242\n"
    saved = load_checkpoint(workplace / "checkpoints/tiny/rlvr-4242/checkpoints/last.ckpt")
    assert 0 < saved["global_step"] < 12
    again = {"SLURM_RESTART_COUNT": "1", "MASTER_PORT": free_port()}
    end(workplace, 0, start(workplace, *command, **again, **job))
    assert same(weights(workplace, "mle-4242"), whole[0])
    assert same(weights(workplace, "rlvr-4242"), whole[1])


@pytest.mark.slow
def test_the_skypilot_file_trains_the_same_weights(workplace, whole):
    script = sky()["run"].replace("/bucket", str(workplace)).replace("29500", free_port())
    task = {"SKYPILOT_TASK_ID": "sky-managed-1", "SKYPILOT_NUM_NODES": "2",
            "SKYPILOT_NODE_IPS": "127.0.0.1\n127.0.0.1", "SKYPILOT_NUM_GPUS_PER_NODE": "1",
            "PRESET": "configs/tiny", "OPTIONS": " ".join(HERE)}  # fmt: skip
    command = ("bash", "-c", script)
    nodes = [start(workplace, *command, SKYPILOT_NODE_RANK=rank, **task) for rank in ("0", "1")]
    end(workplace, 0, *nodes)
    assert same(weights(workplace, "mle-sky-managed-1"), whole[0])
    assert same(weights(workplace, "rlvr-sky-managed-1"), whole[1])


def sky():
    return yaml.safe_load((ROOT / "configs/cluster/skypilot.yaml").read_text())


def test_the_skypilot_file_has_documented_fields():
    task = sky()
    assert task.keys() <= {"name", "num_nodes", "workdir", "resources", "envs", "secrets", "setup",
                           "run", "file_mounts", "volumes", "config"}  # fmt: skip
    assert task["resources"].keys() <= {"accelerators", "use_spot", "infra", "disk_size",
                                        "job_recovery", "network_tier"}  # fmt: skip
    assert all(value is None or isinstance(value, str) for value in task["envs"].values())
    for mount in task["file_mounts"].values():
        assert mount.keys() <= {"name", "source", "store", "persistent", "mode"}
        assert mount["mode"] in ("MOUNT", "COPY", "MOUNT_CACHED")
    known = {"NODE_RANK", "NODE_IPS", "NUM_NODES", "NUM_GPUS_PER_NODE", "TASK_ID"}
    assert set(re.findall(r"SKYPILOT_(\w+)", task["run"])) == known


def test_the_scripts_are_sound_bash():
    slurm = (ROOT / "configs/cluster/slurm.sbatch").read_text()
    for script in (slurm, sky()["run"]):
        checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
        assert not checked.returncode, checked.stderr
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", slurm, re.MULTILINE))
    assert asked["signal"] == "USR1@300"
    assert "requeue" in asked
    assert asked["gpus-per-node"] == asked["ntasks-per-node"]
