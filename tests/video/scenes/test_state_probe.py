import pytest
import torch
from dots import PARTS, RANGES, draw, random_states
from lightning import LightningDataModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader, Dataset

from rlvr_world.video.scenes.state_probe import (
    StateProbe,
    StateProbeRegression,
    distances,
)


class Pictures(Dataset):
    def __init__(self, count, seed):
        self.states = random_states((count, 2), seed)

    def __len__(self):
        return len(self.states)

    def __getitem__(self, index):
        frames = (draw(self.states[index]) * 255).round().byte()
        return {"frames": frames, "states": self.states[index], "key": str(index)}


class Dots(LightningDataModule):
    fingerprint = "dots"

    def train_dataloader(self):
        return DataLoader(Pictures(1280, 0), 16)

    def val_dataloader(self):
        return DataLoader(Pictures(64, 1), 32)

    test_dataloader = val_dataloader


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The checkpoint of a trained probe, and what its training logged."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("probe")
    trainer = Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0,
        callbacks=[ModelCheckpoint(folder, "probe", monitor="val/error")],
    )  # fmt: skip
    module = StateProbeRegression(
        StateProbe(PARTS, **RANGES, hidden=64),
        optimizer=lambda p: torch.optim.AdamW(p, lr=2e-3),
    )
    trainer.fit(module, Dots())
    return folder / "probe.ckpt", dict(trainer.callback_metrics)


def test_the_probe_learns_where_things_are(trained):
    path, logged = trained
    assert logged["val/red"] < 1.5
    assert logged["val/error"] == pytest.approx(logged["val/red"] + logged["val/green"])
    states = random_states((3, 5), seed=2)
    found = StateProbe.load(path).read(draw(states))
    for part, columns in PARTS.items():
        assert found[part].shape == (3, 5, 2)
        centre = torch.tensor(16.0)
        error = (found[part] - states[..., columns]).norm(dim=-1).mean()
        assert error < 0.4 * (centre - states[..., columns]).norm(dim=-1).mean()


def test_the_logged_error_is_that_of_the_saved_probe(trained):
    path, logged = trained
    clips = Pictures(64, 1)
    probe = StateProbe.load(path)
    frames = torch.stack([clips[i]["frames"] for i in range(64)]) / 255
    error = distances(probe.read(frames), probe.truth(clips.states))
    assert logged["val/red"].item() == pytest.approx(error["red"].mean().item(), rel=1e-4)


def test_checkpoints_say_where_they_come_from_and_start_another(trained):
    path, _ = trained
    provenance = torch.load(path, weights_only=True)["provenance"]
    assert (provenance["stage"], provenance["data"]) == ("StateProbeRegression", "dots")
    module = StateProbeRegression(StateProbe(PARTS, **RANGES, hidden=64), weights=path)
    module.setup("fit")
    frames = draw(random_states((2,), 3))
    torch.testing.assert_close(module.probe(frames), StateProbe.load(path)(frames))
    with pytest.raises(ValueError, match="state probe with the same settings"):
        StateProbeRegression(StateProbe(PARTS, **RANGES), weights=path).setup("fit")


def test_data_without_states_is_named():
    module = StateProbeRegression(StateProbe(PARTS, **RANGES))
    with pytest.raises(ValueError, match="needs the simulator's states"):
        module.validation_step({"frames": torch.zeros(1, 1, 3, 32, 32).byte()}, 0)
