"""The paper's sizes for RT-1: vocabulary, sequences, parameters, and one training step of each."""

from importlib.util import find_spec

import pytest
import torch
from lightning import LightningDataModule
from stages import ROOT
from torch import nn
from torch.utils.data import DataLoader

from rlvr_world.cli import import_rooms
from rlvr_world.command_line.training import TrainingCLI
from rlvr_world.video.lpips.trunks import BACKBONES
from rlvr_world.video.tokenizer.compressive import CompressiveVQModel
from rlvr_world.video.tokenizer.vq_model import VQModel

pytestmark = pytest.mark.slow

LAYOUTS = {  # frames, vocabulary, length, predicted tokens, prompt, millions of parameters
    "rt1": (5, 4633, 1654, 320, 1333, 120.38),
    "rt1/multi_step": (8, 9008, 2024, 560, 1373, 127.10),
}


class OneClip(LightningDataModule):
    """One clip of white noise, in the shapes of RT-1."""

    fingerprint = "noise"

    def __init__(self, frames: int = 5, height: int = 256, width: int = 320) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(0)
        shape = (3, height, width)
        self.clip = {
            "frames": torch.randint(256, (frames, *shape), generator=random).byte(),
            "context": torch.randint(256, shape, generator=random).byte(),
            "actions": torch.rand(frames, 13, generator=random),
            "key": "clip",
        }

    def train_dataloader(self) -> DataLoader:
        return DataLoader([self.clip], 1)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    """Untrained tokenizers with the paper's codes, but few weights, so that the rest fits."""
    folder = tmp_path_factory.mktemp("tokenizers")
    options = {"latent_channels": 8, "layers": 1}
    VQModel(channels=[8], stem=16, **options).export(folder / "rt1")
    CompressiveVQModel(channels=[8], stem=8, **options).export(folder / "rt1/multi_step")
    return folder


def command_line(stage, name, *options):
    """The config with a clip of noise in the place of its data, on the CPU in float32."""
    torch.manual_seed(0)
    import_rooms()
    return TrainingCLI(
        run=False,
        args=["-c", str(ROOT / f"configs/{name}/{stage}.yaml"), "--data", "test_rt1_paper.OneClip",
              "--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.logger", "false",
              "--trainer.callbacks", "null", "--trainer.strategy", "auto",
              "--trainer.precision", "32-true", "--trainer.max_steps", "1",
              "--trainer.val_check_interval", "null", "--trainer.limit_val_batches", "0",
              "--trainer.enable_checkpointing", "false", *options],
    )  # fmt: skip


def millions(module):
    return sum(p.numel() for p in module.parameters()) / 1e6


def one_step(cli):
    """Train one step; the weights before and after of some layer, and the metrics."""
    before = [p.detach().clone() for p in cli.model.parameters() if p.requires_grad][:40]
    cli.trainer.fit(cli.model, cli.datamodule)
    after = [p.detach() for p in cli.model.parameters() if p.requires_grad][:40]
    assert sum(not torch.equal(*pair) for pair in zip(before, after, strict=True)) > 30
    assert all(torch.isfinite(value) for value in cli.trainer.callback_metrics.values())
    return cli.trainer.callback_metrics


@pytest.mark.parametrize(("name", "size"), [("rt1", 104.41), ("rt1/multi_step", 129.45)])
def test_a_tokenizer_takes_a_step(name, size):
    frames = "2" if name == "rt1/multi_step" else "1"
    options = ["--data.frames", frames, "--model.perceptual", "st-alex"]
    options += ["--model.adversarial_start", "0", "--model.warmup_steps", "0"]
    cli = command_line("tokenizer", name, *options)
    assert millions(cli.model.model) == pytest.approx(size, abs=0.01)
    metrics = one_step(cli)
    assert metrics["train/discriminator"] > 0
    assert ("train/context_l1" in metrics) == (name == "rt1/multi_step")


@pytest.mark.parametrize("name", LAYOUTS)
def test_maximum_likelihood_takes_a_step(name, tokenizers):
    frames, vocabulary, length, predicted, prompt, size = LAYOUTS[name]
    options = ["--model.codec.tokenizer", str(tokenizers / name), "--data.frames", str(frames)]
    cli = command_line("world_model", name, *options, "--model.warmup_steps", "0")
    batch = next(iter(cli.datamodule.train_dataloader()))
    sequence = cli.model.codec.encode(batch)
    assert (cli.model.codec.vocab_size, sequence.ids.shape[1]) == (vocabulary, length)
    assert (int(sequence.target_mask.sum()), sequence.prompt_length) == (predicted, prompt)
    assert millions(cli.model.backbone) == pytest.approx(size, abs=0.01)
    loss = one_step(cli)["train/loss"]
    uniform = torch.tensor(4375.0).log()
    assert loss.item() == pytest.approx(uniform.item(), abs=0.5)


@pytest.mark.parametrize("name", LAYOUTS)
def test_grpo_takes_a_step(name, tokenizers, tmp_path):
    """Two predictions for one prompt, from the weights of an untrained model."""
    if find_spec("lpips") is None:
        pytest.skip("the package lpips, which holds linear layers, is missing")
    frames, *_ = LAYOUTS[name]
    options = ["--model.codec.tokenizer", str(tokenizers / name), "--data.frames", str(frames)]
    start = command_line("world_model", name, *options)
    start.model.trainer = start.trainer
    start.trainer.strategy.connect(start.model)
    start.trainer.save_checkpoint(tmp_path / "mle.ckpt", weights_only=True)
    del start
    vgg = nn.Sequential(*BACKBONES["vgg"].layers())
    weights = {f"features.{key}": value for key, value in vgg.state_dict().items()}
    torch.save(weights, tmp_path / "vgg16.pth")
    options += ["--model.weights", str(tmp_path / "mle.ckpt"), "--model.group_size", "2"]
    options += ["--model.rewards.lpips.weights", str(tmp_path / "vgg16.pth")]
    cli = command_line("rlvr", name, *options, "--model.num_minibatches", "1")
    metrics = one_step(cli)
    assert metrics["train/reward"] < 0
    assert metrics["train/log_prob_gap"] < 1e-3
