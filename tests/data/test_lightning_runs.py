import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import distributed

from rlvr_world.data import shards
from rlvr_world.data.stream import EvaluationStream
from rlvr_world.video.data.video import VideoDataModule


class KeyCollector(LightningModule):
    """Trains nothing of interest and notes which clips it saw."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.trained, self.validated = [], []

    def training_step(self, batch, index):
        self.trained.append(batch["key"])
        return self.weight * batch["actions"].mean()

    def validation_step(self, batch, index):
        self.validated += batch["key"]

    def on_validation_epoch_end(self):
        self.log("count", float(len(self.validated)), reduce_fx="sum", sync_dist=True)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def data(root, **arguments):
    return VideoDataModule(
        str(root), clip_length=3, batch_size=4, samples_per_epoch=16, **arguments
    )


def fit(root, folder, epochs, resume=None, **arguments):
    model = KeyCollector()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        limit_val_batches=1,
    )
    trainer.fit(model, data(root, **arguments), ckpt_path=resume)
    trainer.save_checkpoint(folder / f"{epochs}.ckpt")
    return model


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_sees_the_same_batches(make_root, tmp_path, workers):
    root = make_root()
    whole = fit(root, tmp_path, 2, num_workers=workers).trained
    first = fit(root, tmp_path, 1, num_workers=workers).trained
    rest = fit(root, tmp_path, 2, resume=tmp_path / "1.ckpt", num_workers=workers).trained
    assert len(whole) == 8
    assert first + rest == whole
    assert whole[:4] != whole[4:]


def test_a_run_does_not_resume_on_other_data(make_root, tmp_path):
    fit(make_root(), tmp_path, 1)
    with pytest.raises(ValueError, match="toy has fingerprint"):
        fit(make_root(train=7), tmp_path, 2, resume=tmp_path / "1.ckpt")


def test_predicting_reads_each_test_clip_once(make_root):
    root = make_root(test=3)
    model = KeyCollector()
    model.predict_step = lambda batch, batch_idx=0: batch["key"]
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    found = trainer.predict(model, data(root, eval_clips_per_episode=2))
    names = [key for batch in found for key in batch]
    assert sorted(names) == [f"test-{i:03d}:{s}" for i in range(3) for s in (0, 5)]


SCRIPT = """
import gc
import json
import sys
from pathlib import Path

import torch
from torch import distributed
from lightning.pytorch import Trainer

sys.path.insert(0, sys.argv[1])
from test_lightning_runs import KeyCollector, data

torch.set_num_threads(1)
found = {}
for workers, root in ((0, 2), (2, 2), (1, 3)):
    model = KeyCollector()
    trainer = Trainer(
        accelerator="cpu", devices=2, strategy="ddp", max_epochs=1, logger=False,
        enable_progress_bar=False, enable_checkpointing=False, num_sanity_val_steps=0,
    )
    trainer.fit(model, data(sys.argv[root], num_workers=workers, eval_clips_per_episode=3))
    counted = trainer.callback_metrics["count"].item()
    found[workers] = [model.trained, model.validated, counted]
Path(sys.argv[4], f"{trainer.global_rank}.json").write_text(json.dumps(found))
"""


def test_two_ranks_share_the_data(make_root, tmp_path):
    short = make_root(val=1).rename(tmp_path / "short")
    root = make_root(val=5)
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    here = Path(__file__).parent
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "SLURM"))}
    subprocess.run(
        [sys.executable, str(script), str(here), str(root), str(short), str(tmp_path)],
        check=True,
        timeout=300,
        env=environment | {"OMP_NUM_THREADS": "1"},
    )
    ranks = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    for workers in ("0", "2"):
        (first, val_first, count), (second, val_second, _) = (rank[workers] for rank in ranks)
        assert len(first) == len(second) == 2
        assert first != second
        assert len(set(val_first) | set(val_second)) == 15
        assert len(val_first) + len(val_second) == 15
        assert count == 15
    (_, val_first, count), (_, val_second, _) = (rank["1"] for rank in ranks)
    assert len(set(val_first)) == len(val_first) == count == 3
    assert val_second == []


class CollectingStream(EvaluationStream):
    """Collects garbage where its batches are made."""

    def __iter__(self):
        gc.collect()
        yield from super().__iter__()


def test_workers_leave_an_earlier_process_group_alone(make_root, tmp_path, monkeypatch):
    store = distributed.FileStore(str(tmp_path / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    held = [distributed.group.WORLD]
    distributed.destroy_process_group()
    held.append(held)
    monkeypatch.setattr(shards, "EvaluationStream", CollectingStream)
    datamodule = data(make_root(), num_workers=1)
    datamodule.setup("validate")
    gc.disable()
    try:
        del held
        assert len(list(datamodule.val_dataloader())) > 0
    finally:
        gc.enable()
