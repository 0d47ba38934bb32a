"""Jobs of the command line that fail, are asked to stop, or run on machines with too little."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from jobs import alive, batches, command, end, run, start
from tiny_runs import prepared

from rlvr_world.cli import main
from rlvr_world.modules.checkpoint import load_checkpoint

LIMIT = 30.0
"""Seconds within which a job has to end; schedulers wait as long before they kill."""

slow = pytest.mark.slow
mounts = shutil.which("unshare") and not subprocess.run(
    ["unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/tmp"], capture_output=True
).returncode  # fmt: skip
needs_mounts = pytest.mark.skipif(not mounts, reason="this machine permits no mounts (unshare)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("jobs"))


@pytest.mark.parametrize(
    "fault",
    [
        "1 training_step raise",
        *(pytest.param(f"{rank} {place} raise", marks=slow) for rank, place in [
            (0, "training_step"), (0, "worker0"), (1, "worker0"), (0, "validation_step"),
            (1, "validation_step"),
        ]),
    ],
)  # fmt: skip
def test_a_rank_that_raises_ends_the_job_with_its_message(folder, fault):
    job = run(command(folder, run="raises", ranks=2, workers=1), fault)
    rank, place, _ = fault.split()
    assert job.code == 1, job.output
    assert f"RuntimeError: a fault in {place}" in job.output
    assert f"on rank {rank} of 2" in job.output
    assert not job.left
    assert job.seconds < LIMIT


@slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_leaves_no_process(folder, rank):
    job = run(command(folder, run="killed", ranks=2, workers=1), f"{rank} batch SIGKILL")
    assert job.code != 0
    assert not job.left
    assert job.seconds < LIMIT


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("1 val_dataloader SIGTERM", 143),  # before training begins
        *(pytest.param(*case, marks=slow) for case in [
            ("1 training_step SIGTERM", 143), ("0 training_step SIGTERM", 143),
            ("1 validation_step SIGTERM", 143), ("0 training_step SIGINT:all", 130),
        ]),
    ],
)  # fmt: skip
def test_a_signal_to_any_rank_stops_all_at_the_same_batch(folder, fault, code):
    job = run(command(folder, run="stopped", ranks=2, workers=1), fault)
    assert job.code == code, job.output
    assert "go on with the option --ckpt_path" in job.output
    assert batches(folder, "stopped") == (5 if "validation" in fault else 2)
    assert not job.left
    assert job.seconds < LIMIT


@slow
@pytest.mark.parametrize(("fault", "code"), [("1 end SIGTERM", 143), ("", 0)])
def test_a_job_that_is_complete_ends_on_all_ranks_alike(folder, fault, code):
    job = run(command(folder, run="complete", ranks=2), fault)
    assert job.code == code, job.output
    assert "go on with the option" not in job.output
    assert not job.left


@slow
@pytest.mark.parametrize("stage", ["tokenizer", "mle", "rlvr"])
def test_a_run_with_workers_is_saved_at_its_batch(folder, stage):
    job = run(command(folder, stage, run="saved", workers=2), "0 batch SIGTERM")
    assert job.code == 143, job.output
    assert batches(folder, "saved") == 2
    assert not job.left
    assert job.seconds < LIMIT


@slow
def test_a_second_signal_ends_a_run_that_waits_for_its_workers(folder):
    fault = "0 batch SIGINT, 0 worker2 sleep"
    job, mark = start(command(folder, run="second", workers=2), fault)
    while "go on with the option" not in (line := job.stdout.readline()):
        assert line, "the run has ended before it was asked to"
    time.sleep(1)
    assert job.poll() is None
    job.send_signal(signal.SIGINT)
    assert job.wait(LIMIT) == -signal.SIGINT
    assert not end(job, mark).left
    assert not alive(mark)


@needs_mounts
@pytest.mark.parametrize(
    ("mount", "options", "message"),
    [
        pytest.param(
            "mount -t tmpfs -o size=400k none SMALL", ["--trainer.limit_val_batches", "0"],
            "last.ckpt: the checkpoint cannot be written (the disk takes no more of it); "
            "what was there before is untouched", marks=slow,
        ),
        pytest.param(
            "mkdir SMALL/full; mount --bind SMALL SMALL; mount -o remount,ro,bind SMALL", [],
            "full: cannot be written to (Read-only file system); choose another by --folder",
            marks=slow,
        ),
        (
            "mount -t tmpfs -o size=64k none /dev/shm", ["--data.num_workers", "2"],
            "a data worker exited unexpectedly; where memory is short",
        ),
        pytest.param(
            "mount -t tmpfs -o ro none /dev/shm", ["--data.num_workers", "2"],
            "data.num_workers: workers cannot be started (Read-only file system)", marks=slow,
        ),
    ],
)  # fmt: skip
def test_a_machine_with_too_little_is_named_in_a_sentence(
    folder, tmp_path, mount, options, message
):
    small, kept = tmp_path / "small", tmp_path / "kept"
    small.mkdir()
    script = f'set -e; {mount.replace("SMALL", str(small))}; set +e; "$@"; code=$?; '
    script += f"cp -r {small} {kept}; exit $code"
    job = run([*command(folder, run="full"), "--folder", str(small), *options],
              prefix=["unshare", "-Urm", "sh", "-c", script, "sh"])  # fmt: skip
    assert job.code == 1, job.output
    said = [line for line in job.output.splitlines() if line.startswith("rlvr-world: error: ")]
    assert message in said[0]
    assert "Error: " not in job.output.replace("AttributeError: '_MultiProcessingDataLoader", "")
    if "400k" in mount:
        assert [path.name for path in (kept / "full/checkpoints").iterdir()] == ["last.ckpt"]
        assert load_checkpoint(kept / "full/checkpoints/last.ckpt")["global_step"] > 0


@slow
def test_a_data_worker_that_is_killed_is_named_in_a_sentence(folder):
    job = run(command(folder, run="killed", workers=1), "0 worker0 SIGKILL")
    assert job.code == 1, job.output
    assert "rlvr-world: error: a data worker" in job.output
    assert "Traceback" not in job.output
    assert not job.left


HOLD = """
import sys
from pathlib import Path
from rlvr_world.files import locked
locked(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_run_in_a_folder_is_refused_while_the_first_one_lives(folder, tmp_path):
    words = command(folder)[3:]
    words = [word for word in words if word not in ("--trainer.callbacks+", "faults.At")]
    words += ["--folder", str(tmp_path), "--trainer.max_steps", "1"]
    (tmp_path / "run").mkdir()
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run/.lock")], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, env=os.environ,
    )  # fmt: skip
    try:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=f"{tmp_path}/run: another run writes there now"):
            main(words)
        assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]
    finally:
        first.kill()
        first.communicate(timeout=60)
    main(words)
    main(words)  # the run before has let go of it
    assert (tmp_path / "run/checkpoints/last.ckpt").exists()
