"""Under SLURM a run that is asked to saves, is queued again and goes on from there."""

import multiprocessing
import os
import signal
from functools import partial

import pytest
from lightning import Callback
from lightning.pytorch.plugins.environments import SLURMEnvironment
from tiny_runs import clips, differences, fit, prepared, rlvr, states, tokenizer, world

from rlvr_world.callbacks.interruption import Interrupted, Interruption
from rlvr_world.modules.checkpoint import load_checkpoint

MAKES = {"mle": world, "rlvr": rlvr, "tokenizer": lambda folder, **options: tokenizer(**options)}
JOB = {
    "SLURM_JOB_ID": "4242", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "1", "SLURM_PROCID": "0",
    "SLURM_NTASKS_PER_NODE": "1", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_NNODES": "1",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Makes this process the task of a job; returns what ``scontrol`` was asked."""
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    commands = tmp_path / "bin"
    commands.mkdir()
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)

    def start(code=0, **variables):
        for name, value in (JOB | variables).items():
            monkeypatch.setenv(name, value)
        scontrol = commands / "scontrol"
        scontrol.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nexit {code}\n')
        scontrol.chmod(0o755)

    start.asked = tmp_path / "asked"
    return start


class WithinAStep(Callback):
    """Sends a signal to its process and to its data workers, as srun does, before a step."""

    def __init__(self, number, step):
        self.number, self.step = number, step

    def on_before_optimizer_step(self, trainer, *_):
        if trainer.global_step == self.step:
            self.step = None
            workers = [process.pid for process in multiprocessing.active_children()]
            assert len(workers) >= trainer.datamodule.num_workers
            for process in (*workers, os.getpid()):
                os.kill(process, self.number)


def interrupted(make, data, last, number, step):
    """A run that is stopped; its exit code."""
    with pytest.raises(Interrupted) as stopped:
        fit(make, data, callbacks=[WithinAStep(number, step), Interruption(last)])
    return stopped.value.code


@pytest.mark.parametrize(
    ("stage", "step", "seen", "workers"),
    [("mle", 1, 2, 2), ("rlvr", 3, 2, 0), ("tokenizer", 3, 4, 1)],
)
def test_a_job_that_runs_again_ends_with_the_same_weights(
    folder, tmp_path, slurm, stage, step, seen, workers
):
    make, last = partial(MAKES[stage], folder), tmp_path / "last.ckpt"
    data = clips(folder / "data", num_workers=workers)
    _, whole, _ = fit(make, data)
    slurm()
    before = signal.getsignal(signal.SIGUSR1)
    assert interrupted(make, data, last, signal.SIGUSR1, step) == 128 + signal.SIGUSR1
    assert slurm.asked.read_text() == "requeue 4242\n"
    assert signal.getsignal(signal.SIGUSR1) == before
    loops = load_checkpoint(last)["loops"]["fit_loop"]
    assert loops["epoch_loop.batch_progress"]["total"]["processed"] == seen
    assert not list(tmp_path.glob("hpc_ckpt*")), "Lightning would save in the midst of a step"
    _, again, _ = fit(make, data, resume=last)
    assert not differences(states(again), states(whole))


def test_a_job_of_an_array_is_named_by_its_place(folder, tmp_path, slurm):
    slurm(SLURM_ARRAY_JOB_ID="77", SLURM_ARRAY_TASK_ID="3")
    make, data = partial(world, folder), clips(folder / "data")
    interrupted(make, data, tmp_path / "last.ckpt", signal.SIGUSR1, 0)
    assert slurm.asked.read_text() == "requeue 77_3\n"


def test_sigterm_saves_and_asks_for_nothing(folder, tmp_path, slurm):
    slurm()
    make, data, last = partial(world, folder), clips(folder / "data"), tmp_path / "last.ckpt"
    assert interrupted(make, data, last, signal.SIGTERM, 1) == 143
    assert load_checkpoint(last)["global_step"] == 2
    assert not slurm.asked.exists()


def test_another_signal_may_stand_for_it(folder, tmp_path, slurm, monkeypatch):
    slurm()
    init = SLURMEnvironment.__init__
    monkeypatch.setattr(SLURMEnvironment, "__init__", lambda self: init(self, True, signal.SIGUSR2))
    make, data = partial(world, folder), clips(folder / "data")
    assert interrupted(make, data, tmp_path / "last.ckpt", signal.SIGUSR2, 0) == 140
    assert slurm.asked.read_text() == "requeue 4242\n"


@pytest.mark.parametrize("is_there", [True, False])
def test_a_job_that_cannot_be_queued_again_is_saved_and_says_so(folder, tmp_path, slurm, is_there):
    slurm(code=1)
    if not is_there:
        (tmp_path / "bin/scontrol").unlink()
    make, data, last = partial(world, folder), clips(folder / "data"), tmp_path / "last.ckpt"
    with pytest.warns(UserWarning, match="job 4242 could not be queued again, submit it anew: "):
        assert interrupted(make, data, last, signal.SIGUSR1, 0) == 138
    assert load_checkpoint(last)["global_step"] == 1
