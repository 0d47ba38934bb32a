"""Trainings that are the same on one process and on two: ``python ranks.py FOLDER STRATEGY``."""

import json
import sys
from functools import partial
from pathlib import Path

import torch
from dials import DIALS, DIGITS, DialCodec, DialsRight, Transitions
from lightning import Callback, LightningDataModule, Trainer
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from rlvr_world.callbacks.reward_monitor import RewardMonitor
from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.modules.rlvr import RLVRWorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.reward import Reward
from rlvr_world.rl.credit import Credit
from rlvr_world.rl.grpo import GRPO
from rlvr_world.types import TokenSequence

STEPS, GROUP, BATCH = 20, 4, 16
LOGGED = ("train/loss", "train/reward", "train/kl", "train/clip_fraction", "train/entropy")


class Words(DialCodec):
    """Rows of different length: two paddings in front, one to three predicted digits."""

    def encode(self, batch):
        filled = cut(super().encode(batch), batch)
        return filled._replace(target_mask=filled.target_mask & within(filled, batch))

    def template(self, batch):
        return cut(super().encode(batch), batch).blank()

    def ends(self, sequence, batch):
        return within(sequence, batch)

    def too_long(self, batch):
        return {"prompt": int((batch["state"][:, 0] == 0).sum())}


class Lined(DialCodec):
    """Digits are points on a line, and a prediction is where they are."""

    def ends(self, sequence, batch):
        return torch.ones_like(sequence.target_mask)

    def points(self):
        return torch.arange(float(DIGITS))[:, None]

    def decode(self, sequence):
        return super().decode(sequence).float()

    def decode_points(self, sequence, points):
        return points[..., 0]


class Near(Reward):
    """The squared distance of dials on the line."""

    higher_is_better = False

    def score(self, prediction, target, given):
        return (prediction - target).square().mean(dim=1)


def cut(sequence, batch):
    """Padded on the left by what the row's place in the global batch and its content say."""
    padding = batch["place"] // (BATCH // 2) + batch["state"][:, 1] % 2
    least = int(padding.min())
    mask = sequence.target_mask[:, least:]
    return TokenSequence(sequence.ids[:, least:], mask, padding - least)


def within(sequence, batch):
    """The positions before the end of each answer."""
    end = sequence.ids.shape[1] - DIALS + batch["state"][:, 0] % DIALS + 1
    return torch.arange(sequence.ids.shape[1]) < end[:, None]


class Right(DialsRight):
    """Has a buffer, as metrics with networks do, which DDP sends round in forward passes."""

    def __init__(self):
        super().__init__()
        self.register_buffer("known", torch.ones(2))


class Placed(Transitions):
    def __getitem__(self, index):
        return super().__getitem__(index) | {"index": index, "place": index % BATCH}


class Dials(LightningDataModule):
    """The same global batches for any number of ranks, and so many validation samples."""

    def __init__(self, batch=BATCH, val=0, val_batch=8, first=0):
        super().__init__()
        self.batch, self.val, self.val_batch, self.first = batch, val, val_batch, first

    def train_dataloader(self):
        rank, own = self.trainer.global_rank, self.batch // self.trainer.world_size
        data = Placed(BATCH * STEPS, 0, slip=0.4)
        rows = torch.arange(len(data)).view(-1, self.batch)[:, rank * own : (rank + 1) * own]
        return DataLoader(data, own, sampler=rows.roll(-self.first, 0).flatten().tolist())

    def val_dataloader(self):
        """The first rank has all samples but the last fifth, or the only one."""
        data = Placed(max(self.val, 1), 1, slip=0.0)
        split = -(-4 * self.val // 5) if self.trainer.world_size > 1 else self.val
        mine = [range(split), range(split, self.val)][self.trainer.global_rank]
        return Unsized(DataLoader(data, self.val_batch, sampler=list(mine)))


class Unsized:
    """A loader that does not say how many batches it has."""

    def __init__(self, loader):
        self.loader = loader

    def __iter__(self):
        return iter(self.loader)


class GivenRollouts(RLVRWorldModel):
    """Draws what follows from the sample, the member and the step alone."""

    def sample(self, batch, sampler, group_size=1, generator=None):
        template = self.codec.template(batch).repeat(group_size)
        keys = batch["index"].repeat_interleave(group_size)
        member = torch.arange(group_size).repeat(len(batch["index"]))
        teaches = (keys % BATCH < BATCH // 2) | (keys // BATCH % 4 > 0)
        mixed = keys * 7919 + member * 104_729 + self.batches_seen * 1_299_709
        noise = teaches * (mixed // 64 % 3)
        drawn = (batch["next_state"].repeat_interleave(group_size, 0) + noise[:, None]) % DIGITS
        ids = torch.cat([template.ids[:, :-DIALS], drawn], dim=1)
        own = {name: batch[name].repeat_interleave(group_size, 0) for name in ("state",)}
        filled = template._replace(ids=ids)
        ends = self.codec.ends(filled, own)
        filled = filled._replace(target_mask=filled.target_mask & ends)
        shift = 0.4 * ((keys + member) % 3 - 1)[:, None]
        log_probs = self.log_probs(filled, group_size)
        return filled, log_probs + shift * filled.target_mask


class GivenPredictions(MLEWorldModel):
    """Predicts what follows from the sample alone."""

    def predict(self, batch, sampler=None, generator=None):
        return (batch["next_state"] + batch["index"][:, None] % 3) % DIGITS


class Watch(Callback):
    """Notes what is logged, and how often gradients are exchanged."""

    def __init__(self):
        self.logged, self.exchanges = {name: [] for name in LOGGED}, 0

    def on_train_start(self, trainer, module):
        if isinstance(trainer.strategy.model, DistributedDataParallel):
            trainer.strategy.model.register_comm_hook(None, self.exchange)

    def exchange(self, state, bucket):
        self.exchanges += 1
        return allreduce_hook(None, bucket)

    def on_train_batch_end(self, trainer, *_):
        for name, values in self.logged.items():
            if name in trainer.callback_metrics:
                values.append(trainer.callback_metrics[name].item())


def trainer_for(ranks, folder, strategy="ddp", **options):
    defaults = {"max_epochs": 1, "limit_val_batches": 0, "enable_checkpointing": False}
    return Trainer(
        accelerator="cpu", devices=ranks, strategy=strategy if ranks > 1 else "auto",
        logger=False, enable_progress_bar=False, enable_model_summary=False,
        num_sanity_val_steps=0, use_distributed_sampler=False, default_root_dir=folder,
        **defaults | options,
    )  # fmt: skip


def options(**more):
    return {
        "codec": Words(), "backbone": partial(Transformer, dim=32, depth=2, heads=2),
        "optimizer": partial(torch.optim.AdamW, lr=3e-3), **more,
    }  # fmt: skip


def outcome(model, data, ranks, folder, strategy, **trainer):
    """What is logged at each step, the weights at the end, and the exchanges of gradients."""
    watch = Watch()
    trainer = trainer_for(ranks, folder, strategy, callbacks=watch, **trainer)
    trainer.fit(model, data)
    found = {name: values for name, values in watch.logged.items() if values}
    weights = [parameter.detach().flatten() for parameter in model.parameters()]
    found["weights"] = torch.cat(weights).tolist()
    return found | {"exchanges": watch.exchanges}


def trainings(folder: Path, ranks: int, strategy: str = "ddp") -> dict:
    """MLE, MLE with accumulated gradients and RLVR."""
    ask, found = (ranks, folder, strategy), {}
    torch.manual_seed(0)
    mle = MLEWorldModel(**options())
    if ranks == 1:
        torch.save({"state_dict": mle.state_dict()}, folder / "start.ckpt")
    start = torch.load(folder / "start.ckpt")["state_dict"]
    for name, batch, accumulate in (("mle", BATCH, 1), ("accumulated", BATCH // 2, 2)):
        mle = MLEWorldModel(**options())
        mle.load_state_dict(start)
        more = {"accumulate_grad_batches": accumulate, "gradient_clip_val": 1.0}
        found[name] = outcome(mle, Dials(batch), *ask, **more)
    for spreadless in ("keep", "drop"):
        model = GivenRollouts(
            **options(rewards={"right": DialsRight()}, group_size=GROUP, num_minibatches=1),
            token_budget=48,
            objective=GRPO(spreadless=spreadless, kl_weight=0.1),
        )
        model.load_state_dict(start)
        model.backbone.is_pretrained = True
        found[spreadless] = outcome(model, Dials(), *ask)
    more = {"codec": Lined(), "rewards": {"near": Near()}, "group_size": GROUP}
    model = GivenRollouts(
        **options() | more, num_minibatches=1, token_budget=48, credit=Credit(gradient=1.0)
    )
    model.load_state_dict(start)
    model.backbone.is_pretrained = True
    found["decoder"] = outcome(model, Dials(), *ask)
    return found


def validations(folder: Path, ranks: int) -> dict:
    """Means over validation splits of 1 and 23 samples, in batches of some sizes."""
    found = {}
    for val, val_batch in ((23, 1), (23, 7), (23, 64), (1, 4)):
        model = GivenPredictions(**options(rewards={"right": Right()}))
        model.load_state_dict(torch.load(folder / "start.ckpt")["state_dict"], strict=False)
        trainer = trainer_for(
            ranks, folder, limit_val_batches=1.0, limit_train_batches=1, callbacks=RewardMonitor()
        )
        trainer.fit(model, Dials(val=val, val_batch=val_batch))
        names = ("val/nll", "val/too_long/prompt", "val/reward/right", "val/reward")
        means = {name: trainer.callback_metrics[name].item() for name in names}
        means["count"] = int(model.rewards["right"].count) if ranks == 1 else None
        found[f"{val} {val_batch}"] = means
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    place, kind = Path(sys.argv[1]), sys.argv[2]
    report = {"trainings": trainings(place, 2, kind)}
    if kind == "ddp":
        report["validations"] = validations(place, 2)
    rank = torch.distributed.get_rank()
    (place / f"{kind}{rank}.json").write_text(json.dumps(report))
