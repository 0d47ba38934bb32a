"""A tiny video world without shards: clips, an exported tokenizer, and untrained checkpoints."""

import torch
from lightning import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningCLI
from torch.utils.data import DataLoader, Dataset

from rlvr_world.video.tokenizer.vq_model import VQModel

SIZE, CONTEXT = 32, 2


class TinyClips(Dataset):
    """Random clips of 3 frames with actions and PushT states."""

    def __init__(self, count, seed):
        random = torch.Generator().manual_seed(seed)
        self.frames = torch.randint(256, (count, 3, 3, SIZE, SIZE), generator=random).byte()
        self.actions = torch.rand(count, 3, 2, generator=random)
        self.states = 226 + 60 * torch.rand(count, 3, 5, generator=random)

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, index):
        arrays = {name: array[index] for name, array in vars(self).items()}
        return arrays | {"key": f"clip{index}"}


class TinyVideo(LightningDataModule):
    """Clips of white noise; ``test_clips`` of them in the test split."""

    fingerprint = "noise"

    def __init__(self, test_clips: int = 5, val_clips: int = 4) -> None:
        super().__init__()
        self.counts = {"test": test_clips, "val": val_clips}

    def train_dataloader(self):
        return DataLoader(TinyClips(4, 2), 2)

    def val_dataloader(self):
        return DataLoader(TinyClips(self.counts["val"], 1), 3)

    def test_dataloader(self):
        return DataLoader(TinyClips(self.counts["test"], 0), batch_size=3)

    predict_dataloader = test_dataloader


def export_tokenizer(folder, seed=0):
    torch.manual_seed(seed)
    VQModel(channels=(8, 8, 8), levels=(5, 3), latent_channels=8, layers=1).export(folder)
    return folder


def save_untrained(path, tokenizer, model="mle.MLEWorldModel", seed=0, options=()):
    """Write the checkpoint of an untrained world model, as the command line would."""
    torch.manual_seed(seed)
    codec, backbone = "--model.codec", "--model.backbone"
    cli = LightningCLI(
        LightningModule,
        LightningDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        auto_configure_optimizers=False,
        seed_everything_default=seed,
        run=False,
        args=[
            "--model", f"rlvr_world.modules.{model}",
            codec, "rlvr_world.video.codecs.frame.FrameCodec",
            f"{codec}.tokenizer", str(tokenizer),
            f"{codec}.frame_size", f"[{SIZE}, {SIZE}]",
            f"{codec}.context_frames", str(CONTEXT),
            f"{codec}.action_low", "[0, 0]",
            f"{codec}.action_high", "[1, 1]",
            backbone, "rlvr_world.nn.transformer.Transformer",
            f"{backbone}.dim", "16", f"{backbone}.depth", "1", f"{backbone}.heads", "2",
            "--data", "tiny_video.TinyVideo",
            "--trainer.logger", "false", "--trainer.accelerator", "cpu",
            *options,
        ],
    )  # fmt: skip
    cli.model.trainer = cli.trainer
    cli.trainer.strategy.connect(cli.model)
    cli.trainer.save_checkpoint(path)
    return path
