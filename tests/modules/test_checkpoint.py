"""Checkpoints that are damaged, or cannot be written: a sentence, and the one from before stays."""

import tempfile
from functools import partial

import pytest
import torch
from lightning import Callback
from tiny_runs import clips, fit, prepared, world

from rlvr_world.callbacks.defaults import KeptBest, checkpoint_callbacks
from rlvr_world.modules.checkpoint import load_checkpoint
from rlvr_world.modules.saved import load_world_model
from rlvr_world.video.tokenizer.vq_model import VQModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def sound(folder):
    saves = folder / "sound"
    saves.mkdir()
    fit(partial(world, folder), clips(folder / "data"), save=saves, max_epochs=1)
    return (saves / "1.ckpt").read_bytes()


def damaged(how, sound, path):
    flipped = bytearray(sound)
    flipped[len(sound) // 2] ^= 1
    if how == "folder":
        path.mkdir()
    else:
        content = {"empty": b"", "truncated": sound[: len(sound) // 2], "flipped": bytes(flipped)}
        path.write_bytes(content[how])
    return path


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("empty", "is empty"),
        ("truncated", "cut short"),
        ("folder", "is a folder"),
        ("flipped", "the checksum of .* is wrong"),
    ],
)
def test_a_damaged_checkpoint_is_refused_by_all_that_read_one(
    folder, tmp_path, sound, how, message
):
    path = damaged(how, sound, tmp_path / "last.ckpt")
    data = clips(folder / "data")
    readers = [
        lambda: fit(partial(world, folder), data, resume=path),
        lambda: fit(partial(world, folder, weights=path), data),
        lambda: load_world_model(path),
        lambda: VQModel.load(path),
    ]
    for read in readers[: 3 if how == "folder" else 4]:  # a tokenizer may be a folder
        with pytest.raises(ValueError, match=message) as refused:
            read()
        assert str(path) in str(refused.value)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("fault", ["full", "no folder"])
def test_what_cannot_be_written_leaves_the_checkpoint_from_before(
    folder, tmp_path, monkeypatch, fault
):
    import resource

    monkeypatch.setattr(tempfile, "mkstemp", None)  # nothing goes through the temporary folder
    _, last = checkpoint_callbacks(tmp_path / "kept", KeptBest("val/nll", "min", 1))

    class Fails(Callback):
        def on_train_batch_start(self, trainer, module, batch, index):
            if index == 2 and fault == "full":
                resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
            if index == 2 and fault == "no folder":
                monkeypatch.setattr("rlvr_world.modules.checkpoint.torch.save", read_only)

    def read_only(state, path):
        raise PermissionError(13, "Permission denied", str(path))

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError, match=r"last.ckpt: .* cannot be written \(") as lost:
            fit(partial(world, folder), clips(folder / "data"), callbacks=[Fails(), last])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(lost.value)
    assert load_checkpoint(tmp_path / "kept/last.ckpt")["global_step"] == 2
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["last.ckpt"]


def test_the_best_checkpoint_stays_until_the_next_one_is_whole(folder, tmp_path, monkeypatch):
    best, _ = checkpoint_callbacks(tmp_path, KeptBest("val/nll"))
    save, written = torch.save, []

    def half(state, path):
        save(state, path)
        if written:
            path.write_bytes(path.read_bytes()[:1000])
            raise OSError(28, "No space left on device")
        written.append(state["global_step"])

    monkeypatch.setattr("rlvr_world.modules.checkpoint.torch.save", half)
    optimizer = partial(torch.optim.AdamW, lr=1e-2)
    with pytest.raises(OSError, match="No space left on device"):
        fit(partial(world, folder, optimizer=optimizer), clips(folder / "data"), callbacks=[best],
            max_epochs=20)  # fmt: skip
    assert load_checkpoint(tmp_path / "best.ckpt")["global_step"] == written[0]


def test_weights_alone_are_no_run_to_resume(folder, tmp_path):
    path = tmp_path / "weights.ckpt"
    checkpoint = load_checkpoint(folder / "mle.ckpt")
    for name in ("loops", "optimizer_states", "lr_schedulers", "callbacks"):
        checkpoint.pop(name, None)
    torch.save(checkpoint, path)
    with pytest.raises(ValueError, match=r"weights.ckpt: holds weights alone.* model\.weights"):
        fit(partial(world, folder), clips(folder / "data"), resume=path)
