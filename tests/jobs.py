"""Runs of the command line in processes of their own, on tiny clips, with faults."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.tiny_runs import options
from rlvr_world.modules.checkpoint import load_checkpoint

TESTS = Path(__file__).parent


class Ended(NamedTuple):
    """How a job ended, and the seconds from the fault to the end of its last process."""

    code: int
    output: str
    seconds: float
    left: list[int]


def command(folder, stage="mle", run="run", ranks=1, workers=0):
    """``fit`` on what ``prepared`` made; the world model and the data are those of ``faults``."""
    words = options(stage, folder, run)
    ours = {"MLEWorldModel": "faults.World", "VideoDataModule": "faults.Clips"}
    words = [ours.get(word, word) for word in words]
    words += ["--trainer.callbacks+", "faults.At", "--data.num_workers", str(workers)]
    if stage != "tokenizer":
        words += ["--model.codec.tokenizer", str(folder / "tokenizer")]
    if stage == "rlvr":
        words += ["--model.weights", str(folder / "mle.ckpt")]
    if ranks > 1:
        words += ["--trainer.strategy", "ddp", "--trainer.devices", str(ranks)]
    return [sys.executable, "-m", "rlvr_world", *words]


def start(words, fault="", prefix=(), **options):
    """A job in a session of its own, whose processes all have its start in their environment."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SLURM"))}
    paths = [str(TESTS), str(TESTS.parent / "src"), str(TESTS.parent)]
    environment |= {
        "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths), "JOB": f"{time.time_ns()}",
    }  # fmt: skip
    if fault:
        environment["FAULT"] = fault
    job = subprocess.Popen(
        [*prefix, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True, **options,
    )  # fmt: skip
    return job, f"JOB={environment['JOB']}".encode()


def end(job, mark, timeout=240):
    """Wait until the job and all of its processes have ended; what is left is killed."""
    begin = time.time()
    try:
        output, _ = job.communicate(timeout=timeout)
        while alive(mark) and time.time() - begin < timeout:
            time.sleep(0.1)
        gone, left = time.time(), alive(mark)
    finally:
        for process in alive(mark):
            os.kill(process, 9)
    done = re.findall(r"DONE (\S+)", output)
    return Ended(job.returncode, output, gone - float(done[0]) if done else gone - begin, left)


def run(words, fault="", **options):
    """Start a job and wait for its end."""
    return end(*start(words, fault, **options))


def alive(mark):
    """The processes of a job that have not ended."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            is_zombie = place.joinpath("stat").read_text().rpartition(")")[2].split()[0] == "Z"
            if not is_zombie and mark in place.joinpath("environ").read_bytes():
                found.append(int(place.name))
        except OSError:
            continue
    return found


def batches(folder, run="run"):
    """The training batches that the last checkpoint of a run has seen."""
    last = load_checkpoint(folder / run / "checkpoints/last.ckpt")
    return last["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["processed"]
