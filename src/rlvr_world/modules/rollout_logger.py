"""What tells a healthy RL step from a sick one."""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from rlvr_world.rl.grpo import spreadless_share
from rlvr_world.types import Rollout

if TYPE_CHECKING:
    from rlvr_world.modules.rlvr import RLVRWorldModel


class RolloutObserver:
    """Watches the RL steps of a module: this one measures and logs nothing."""

    def timed(self, name: str) -> AbstractContextManager[None]:
        """Measure the block that runs within ``timed(name)``."""
        return nullcontext()

    def observe(
        self, module: "RLVRWorldModel", rollout: Rollout, terms: Sequence[Mapping[str, Tensor]]
    ) -> None:
        """Take note of an RL step: its rollout, and the terms of each of its optimizer steps."""


class RolloutLogger(Callback, RolloutObserver):
    """Logs each RL step; an ``RLVRWorldModel`` brings it along.

    Under ``train/``: ``reward`` and each ``reward/<name>``, ``reward_std`` within groups, the share
    of ``spreadless_groups``, ``entropy``, the terms of the objective (``kl``, ``clip_fraction``
    ...) and ``tokens_per_second`` of sampling. Under ``time/``: the seconds of ``rollout``,
    ``decode``, ``reward`` and ``update``. ``rl_step`` counts the rollouts.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.device = torch.device("cpu")

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Read the clock on the device of the module."""
        self.device = module.device

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to ``seconds[name]``."""
        start = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.seconds[name] += time.perf_counter() - start

    def observe(
        self, module: "RLVRWorldModel", rollout: Rollout, terms: Sequence[Mapping[str, Tensor]]
    ) -> None:
        """Log an RL step."""
        self.log_rollout(module, rollout)
        for name in terms[0]:
            mean = torch.stack([each[name] for each in terms]).mean()
            module.log(f"train/{name}", mean, sync_dist=True)
        for name, seconds in self.seconds.items():
            module.log(f"time/{name}", seconds, sync_dist=True)
        self.seconds.clear()

    def log_rollout(self, module: "RLVRWorldModel", rollout: Rollout) -> None:
        """Log what was sampled and what it was worth."""
        mask = rollout.sequence.target_mask
        groups = rollout.rewards.unflatten(0, (-1, module.group_size))
        speed = float(mask.sum()) / self.seconds["rollout"]
        means = {f"reward/{name}": scores.mean() for name, scores in rollout.scores.items()}
        means |= {
            "reward_std": groups.std(dim=1).mean(),
            "spreadless_groups": spreadless_share(groups),
            "entropy": -(rollout.log_probs * mask).sum() / module.over_ranks(mask.sum()),
        }
        module.log("train/reward", rollout.rewards.mean(), prog_bar=True, sync_dist=True)
        for name, mean in means.items():
            module.log(f"train/{name}", mean, sync_dist=True)
        module.log("train/tokens_per_second", speed, sync_dist=True, reduce_fx="sum")
        module.log("rl_step", float(module.batches_seen + 1))
