"""Runs that are stopped at any moment, by anybody or anything, go on as if they had not been."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from lightning import Callback
from lightning.pytorch.callbacks import EMAWeightAveraging
from tiny_runs import (
    BATCHES,
    clips,
    differences,
    fit,
    prepared,
    quiet,
    rlvr,
    states,
    tokenizer,
    world,
    write_clips,
)

from benchmarks.tiny_runs import options as tiny_options
from rlvr_world.callbacks.defaults import checkpoint_callbacks
from rlvr_world.callbacks.interruption import Interrupted, Interruption
from rlvr_world.cli import main
from rlvr_world.modules.checkpoint import load_checkpoint

MAKES = {"mle": world, "rlvr": rlvr, "tokenizer": lambda folder, **options: tokenizer(**options)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("runs"))


def averaging(stage):
    return [EMAWeightAveraging(decay=0.9)] if stage == "tokenizer" else []


@pytest.mark.parametrize(
    ("stage", "data", "trainer"),
    [
        ("mle", {"num_workers": 2}, {}),
        ("mle", {}, {"accumulate_grad_batches": 2, "val_check_interval": 1}),
        ("rlvr", {}, {"limit_val_batches": 0}),
        ("tokenizer", {}, {"val_check_interval": 2}),
    ],
)
def test_a_run_goes_on_from_each_batch(folder, tmp_path, stage, data, trainer):
    make = partial(MAKES[stage], folder)
    data = clips(folder / "data", **data)
    _, whole, _ = fit(make, data, save=tmp_path, callbacks=averaging(stage), **trainer)
    for batch in range(1, 2 * BATCHES):
        _, resumed, rates = fit(
            make, data, resume=tmp_path / f"{batch}.ckpt", callbacks=averaging(stage), **trainer
        )
        again = batch % BATCHES % trainer.get("accumulate_grad_batches", 1)
        assert len(rates) == 2 * BATCHES - batch + again
        assert resumed.global_step == whole.global_step
        assert not differences(states(resumed), states(whole)), batch
        if "val/nll" in whole.callback_metrics:
            assert resumed.callback_metrics["val/nll"] == whole.callback_metrics["val/nll"]
        steps = [t.fit_loop.epoch_loop._batches_that_stepped for t in (resumed, whole)]
        assert steps[0] == steps[1]


@pytest.mark.parametrize(("stage", "per_batch"), [("mle", 1), ("rlvr", 2), ("tokenizer", 1)])
@pytest.mark.parametrize("batches", [2, BATCHES])
def test_a_run_that_max_steps_ended_goes_on_in_its_epoch(
    folder, tmp_path, stage, per_batch, batches
):
    make, data = partial(MAKES[stage], folder), clips(folder / "data")
    steps = {"max_epochs": -1, "max_steps": 5 * per_batch}
    _, whole, _ = fit(make, data, **steps)
    last = checkpoint_callbacks(tmp_path, None)
    fit(make, data, callbacks=last, **steps | {"max_steps": batches * per_batch})
    assert load_checkpoint(tmp_path / "last.ckpt")["global_step"] == batches * per_batch
    _, resumed, rates = fit(make, data, resume=tmp_path / "last.ckpt", **steps)
    assert len(rates) == 5 - batches
    assert not differences(states(resumed), states(whole))


@pytest.mark.parametrize("schedule", ["constant", "constant_with_warmup", "cosine"])
def test_a_learning_rate_that_is_asked_for_counts(folder, tmp_path, schedule):
    data = clips(folder / "data")
    options = {"schedule": schedule, "warmup_steps": 0 if schedule == "constant" else 3}

    def make(lr, betas=(0.9, 0.999), weight_decay=0.01):
        optimizer = partial(torch.optim.AdamW, lr=lr, betas=betas, weight_decay=weight_decay)
        return world(folder, optimizer=optimizer, **options)

    fit(partial(make, 1e-3), data, save=tmp_path)
    _, _, wanted = fit(partial(make, 5e-4), data)
    _, trainer, rates = fit(partial(make, 5e-4, (0.8, 0.9), 0.2), data, resume=tmp_path / "2.ckpt")
    assert rates == wanted[2:]
    (group,) = trainer.optimizers[0].param_groups
    assert (group["betas"], group["weight_decay"]) == ((0.8, 0.9), 0.2)


def test_settings_that_are_asked_for_count_and_are_noted(folder, tmp_path):
    def run(*more):
        overrides = ["--model.codec.tokenizer", str(folder / "tokenizer"), "--model.weights",
                     str(folder / "mle.ckpt"), "--data.root", str(folder / "data")]  # fmt: skip
        main([*tiny_options("rlvr", tmp_path, "run"), *overrides, *more])
        return load_checkpoint(tmp_path / "run/checkpoints/last.ckpt")

    run("--trainer.max_steps", "4")
    last = str(tmp_path / "run/checkpoints/last.ckpt")
    after = run("--trainer.max_steps", "6", "--ckpt_path", last, "--model.group_size", "3",
                "--model.seed", "5", "--model.schedule", "constant", "--model.optimizer", "AdamW",
                "--model.optimizer.lr", "5e-5", "--data.seed", "6")  # fmt: skip
    (group,) = after["optimizer_states"][0]["param_groups"]
    assert group["lr"] == 5e-5
    assert after["global_step"] == 6
    assert (after["hyper_parameters"]["group_size"], after["hyper_parameters"]["seed"]) == (3, 5)
    noted = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    model = noted["model"]["init_args"]
    assert (model["group_size"], model["seed"], noted["data"]["init_args"]["seed"]) == (3, 5, 6)
    assert model["optimizer"]["init_args"]["lr"] == 5e-5


def test_what_would_change_the_meaning_of_a_run_is_refused(folder, tmp_path):
    data = clips(folder / "data")
    fit(partial(world, folder), data, save=tmp_path, max_epochs=1)
    saved = tmp_path / "2.ckpt"

    def refused(message, make=None, data=data):
        with pytest.raises(ValueError, match=message):
            fit(make or partial(world, folder), data, resume=saved)

    refused("trained by AdamW of .*, which is to go on as SGD",
            partial(world, folder, optimizer=partial(torch.optim.SGD, lr=0.1)))  # fmt: skip
    refused(
        "a checkpoint of MLEWorldModel, from which RLVRWorldModel cannot", partial(rlvr, folder)
    )
    refused("not the checkpoint of a tokenizer", tokenizer)
    refused("differs in the shape of", partial(world, folder, dim=32))
    refused("has fingerprint .*, but the checkpoint was trained on",
            data=clips(write_clips(tmp_path / "other", seed=1)))  # fmt: skip


class SignalAt(Callback):
    """Sends signals to its own process within a training batch, or within a validation one."""

    def __init__(self, signals, train=None, validation=None):
        self.signals, self.train, self.validation = signals, train, validation

    def on_train_batch_start(self, trainer, module, batch, index):
        if trainer.fit_loop.total_batch_idx == self.train:
            self.send()

    def on_validation_batch_start(self, trainer, module, batch, index):
        if index == self.validation and not trainer.sanity_checking:
            self.send()

    def send(self):
        signals, self.signals = self.signals, ()
        for number in signals:
            os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("stage", "number", "moment", "seen", "trainer"),
    [
        ("mle", signal.SIGTERM, {"train": 1}, 2, {"num_sanity_val_steps": 1}),
        ("mle", signal.SIGINT, {"train": 0}, 2, {"accumulate_grad_batches": 2}),
        ("rlvr", signal.SIGTERM, {"train": 4}, 5, {}),
        ("tokenizer", signal.SIGTERM, {"validation": 0}, 3, {}),
        ("mle", signal.SIGINT, {"validation": 1}, 3, {}),
    ],
)
def test_a_signal_saves_the_run_where_it_is(
    folder, tmp_path, stage, number, moment, seen, trainer, caplog
):
    make, data = partial(MAKES[stage], folder), clips(folder / "data")
    last = tmp_path / "last.ckpt"
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    _, whole, _ = fit(make, data, callbacks=averaging(stage), **trainer)
    callbacks = [*averaging(stage), SignalAt([number], **moment), Interruption(last)]
    with caplog.at_level("INFO"), pytest.raises(Interrupted) as stopped:
        fit(make, data, callbacks=callbacks, **trainer)
    assert stopped.value.code == 128 + number
    assert f"go on with the option --ckpt_path {last}" in caplog.text
    loops = load_checkpoint(last)["loops"]["fit_loop"]
    assert loops["epoch_loop.batch_progress"]["total"]["processed"] == seen
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == before
    _, resumed, _ = fit(make, data, resume=last, callbacks=averaging(stage), **trainer)
    assert not differences(states(resumed), states(whole))
    metric = "val/psnr" if stage == "tokenizer" else "val/nll"
    assert resumed.callback_metrics[metric] == whole.callback_metrics[metric]


def test_nothing_follows_on_a_run_that_was_asked_to_stop_in_its_last_moment(folder, tmp_path):
    class AtTheEnd(SignalAt):
        def on_train_end(self, trainer, module):
            self.send()

    callbacks = [AtTheEnd([signal.SIGTERM]), Interruption(tmp_path / "last.ckpt")]
    with pytest.raises(SystemExit) as stopped:
        fit(partial(world, folder), clips(folder / "data"), callbacks=callbacks, max_epochs=1)
    assert stopped.value.code == 143


def test_a_run_that_ends_leaves_signals_as_they_were(folder, tmp_path):
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    fit(partial(world, folder), clips(folder / "data"), callbacks=[Interruption()], max_epochs=1)
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_validation_alone_that_is_asked_to_stop_saves_nothing(folder, tmp_path):
    last = tmp_path / "last.ckpt"
    callbacks = [SignalAt([signal.SIGTERM], validation=0), Interruption(last)]
    with pytest.raises(SystemExit) as stopped:
        quiet(callbacks).validate(rlvr(folder), clips(folder / "data"))
    assert stopped.value.code == 143
    assert not last.exists()


TWICE = """
import sys
from functools import partial
from pathlib import Path
sys.path[:0] = [{tests!r}, {root!r}]
from test_resume import Interruption, SignalAt, clips, fit, world
folder, last = Path({folder!r}), Path({last!r})
callbacks = [SignalAt([{number}] * 2, train=1), Interruption(last)]
fit(partial(world, folder), clips(folder / "data"), callbacks=callbacks)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_run_at_once(folder, tmp_path, number):
    last, here = tmp_path / "last.ckpt", Path(__file__).parent
    places = {"tests": str(here), "root": str(here.parent), "folder": str(folder)}
    script = TWICE.format(**places, last=str(last), number=int(number))
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=240)
    assert ended.returncode == -number, ended.stderr[-1000:]
    assert not last.exists()
