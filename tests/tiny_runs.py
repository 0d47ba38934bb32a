"""Runs of each stage on shards of tiny clips, which can be stopped after any batch and resumed."""

from functools import partial

import torch
from lightning import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn

from benchmarks.tiny_runs import SIZE, write_clips
from rlvr_world.modules.checkpoint import CheckpointFiles
from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.video.codecs.frame import FrameCodec
from rlvr_world.video.data.video import VideoDataModule
from rlvr_world.video.rewards.frames import MAE
from rlvr_world.video.tokenizer.discriminator import PatchDiscriminator
from rlvr_world.video.tokenizer.vq_model import VQModel
from rlvr_world.video.tokenizer.vq_tokenizer import VQTokenizer

BATCHES = 3
"""Batches in an epoch."""


def clips(root, **options):
    settings = {"clip_length": 3, "batch_size": 2, "samples_per_epoch": 2 * BATCHES, "shuffle": 8}
    return VideoDataModule(str(root), **settings | {"eval_clips_per_episode": 1} | options)


def vq_model(width=8):
    return VQModel(channels=(width, 8, 8), levels=(5, 3), latent_channels=8, layers=1)


def tokenizer(width=8, **options):
    """With dropout, so that it depends on what is drawn in each batch."""
    judge = PatchDiscriminator(channels=(4, 4)).append(nn.Dropout(0.5))
    return VQTokenizer(model=vq_model(width), discriminator=judge, perceptual=None, **options)


def backbone(vocab_size, dim=16):
    return Transformer(vocab_size, dim=dim, depth=1, heads=2)


def world(folder, kind=MLEWorldModel, dim=16, **options):
    if not (folder / "tokenizer").exists():
        torch.manual_seed(1)
        vq_model().export(folder / "tokenizer")
    codec = FrameCodec(folder / "tokenizer", (SIZE, SIZE), (0.0, 0.0), (1.0, 1.0), context_frames=2)
    return kind(codec=codec, backbone=partial(backbone, dim=dim), **options)


def rlvr(folder, **options):
    if not (folder / "mle.ckpt").exists():
        trainer = quiet(max_steps=0)
        model = world(folder)
        model.trainer = trainer
        trainer.strategy.connect(model)
        trainer.save_checkpoint(folder / "mle.ckpt")
    settings = {"group_size": 2, "num_minibatches": 2, "weights": folder / "mle.ckpt"}
    return world(folder, RLVRWorldModel, rewards={"mae": MAE()}, **settings | options)


class SaveEach(Callback):
    """Saves a run after each batch, and notes the learning rates of each batch."""

    def __init__(self, folder):
        self.folder, self.rates = folder, []

    def on_train_batch_start(self, trainer, *_):
        self.rates.append([g["lr"] for o in trainer.optimizers for g in o.param_groups])

    def on_train_batch_end(self, trainer, *_):
        if self.folder is not None:
            batches = trainer.fit_loop.epoch_loop.batch_progress.total.processed
            trainer.save_checkpoint(self.folder / f"{batches}.ckpt")


def quiet(callbacks=(), **options):
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        plugins=[CheckpointFiles()],
        callbacks=list(callbacks),
        **{"num_sanity_val_steps": 0} | options,
    )


def fit(make, data, resume=None, save=None, callbacks=(), **options):
    """Train; returns the module, its trainer and the learning rates of its batches."""
    seed_everything(0, verbose=False)
    model, saver = make(), SaveEach(save)
    trainer = quiet([*callbacks, saver], **{"max_epochs": 2} | options)
    trainer.fit(model, data, ckpt_path=resume)
    return model, trainer, saver.rates


def states(trainer):
    """All that a run has learnt, as one flat dictionary of tensors."""
    found = dict(trainer.lightning_module.state_dict())
    for number, optimizer in enumerate(trainer.optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            found |= {f"{number}.{index}.{name}": value for name, value in state.items()}
    return found


def differences(one, other):
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


def prepared(folder):
    """A folder with clips, a tokenizer and the weights that RLVR starts from."""
    write_clips(folder / "data")
    rlvr(folder)
    return folder
