"""Stage 3: reinforcement learning with verifiable rewards."""

import copy
from collections import defaultdict
from typing import Any, cast

import torch
from lightning import Callback
from torch import Tensor
from torch.optim import Optimizer

from rlvr_world.frozen import Frozen
from rlvr_world.modules.rollout_logger import RolloutLogger, RolloutObserver
from rlvr_world.modules.scoring import drawn_points, known_points, score_predictions
from rlvr_world.modules.sharding import split
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.nn.sequence_model import SequenceModel, without_dropout
from rlvr_world.reward import not_finite
from rlvr_world.rl.budget import check_positive, minibatches, sequence_parts
from rlvr_world.rl.credit import Credit, per_token
from rlvr_world.rl.gradient import curvature, expected_worth, parabolas, slope_moments
from rlvr_world.rl.grpo import GRPO
from rlvr_world.rl.losses import importance_weights
from rlvr_world.rl.sampler import Sampler
from rlvr_world.rl.temperature import OwnTemperature, WeightsTemperature
from rlvr_world.rl.vllm.sampler import VLLMSampler
from rlvr_world.types import Batch, Rollout, TokenSequence


class RLVRWorldModel(WorldModel):
    """A world model tuned by GRPO on metrics of its decoded predictions (Section 4 of the paper).

    A batch of prompts is one RL step: ``num_minibatches`` optimizer steps on ``group_size`` answers
    to each. ``weights``, the MLE checkpoint, is also the frozen reference, as a pretrained one is.

    Args:
        group_size: G, the number of predictions sampled for each prompt.
        num_minibatches: Optimizer steps on each rollout; divides the prompts of a batch.
        sampler: How predictions are sampled; it must draw from the full distribution. Where an
            engine of its own samples, its tokens are weighted by truncated importance sampling.
        token_budget: The most tokens in the networks at once, a shared prompt counted once; all if
            not given. Smaller values need less memory and change no result.
        objective: How rewards become a loss.
        credit: What predictions of several frames are worth, and which tokens that trains.
        clip_norm: Largest norm of the gradient.
        temperature_lr: Learning rate of the temperature's logarithm as a parameter of its own.
        **options: See ``WorldModel``; ``rewards`` are needed, their weighted sum is maximised.
    """

    monitor, monitor_mode = "val/reward", "max"
    reference: Frozen[SequenceModel]

    def __init__(
        self,
        group_size: int = 16,
        num_minibatches: int = 4,
        sampler: Sampler | VLLMSampler | None = None,
        token_budget: int | None = None,
        objective: GRPO = GRPO(),  # noqa: B008
        credit: Credit = Credit(),  # noqa: B008
        clip_norm: float = 1.0,
        temperature_lr: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.automatic_optimization = False
        self.sampler = sampler or Sampler()
        if not self.rewards.weight:
            raise ValueError("rewards: RLVR needs at least one reward whose weight is above 0")
        if group_size < 2:
            raise ValueError(f"group_size must be at least 2 to compare members, got {group_size}")
        check_positive(clip_norm=clip_norm, token_budget=token_budget)
        if not self.sampler.is_exact:
            raise ValueError("sampler: training draws from the full distribution; set no options")
        self.group_size, self.num_minibatches = group_size, num_minibatches
        self.token_budget, self.clip_norm = token_budget, clip_norm
        self.objective, self.credit = objective, credit
        self.detail = credit.detail(self.codec.patch_grid)
        self.temperature_lr, self.temperature = temperature_lr, WeightsTemperature()
        self.observer: RolloutObserver = RolloutObserver()

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        rollout = self.rollout(batch)
        shuffle = self.generator(self.batches_seen, 1)
        parts = minibatches(rollout, self.group_size, self.num_minibatches, shuffle)
        self.observer.observe(self, rollout, [self.improve(minibatch) for minibatch in parts])
        return {"rollout": rollout}

    @torch.no_grad()
    def rollout(self, batch: Batch) -> Rollout:
        """Sample a group of predictions for each prompt, score them and compare within groups."""
        source = self.generator(self.batches_seen)
        with self.observer.timed("rollout"):
            sequence, sampled = self.sample(batch, self.sampler, self.group_size, source)
        ask = (sequence, self.group_size, self.token_budget)
        inputs = (self.codec, self.rewards, sequence, batch, sequence_parts(*ask))
        scores, slopes = score_predictions(*inputs, self.detail, self.observer, self.credit)
        self.skips.cause = not_finite(scores, batch) or self.skips.cause
        total = self.rewards.total(scores)
        rewards = self.credit.worth(total)
        advantages = self.objective.advantages(self.credit.returns(total), self.group_size)
        groups = rewards.unflatten(0, (-1, self.group_size))
        trained = self.objective.trained_tokens(sequence, groups, self.codec.end_token)
        with self.observer.timed("update"):
            reference = self.log_probs(*ask, model=self.reference.on(self.device))
            needs = self.sampler.needs_correction
            log_probs = self.log_probs(*ask, model=self.backbone) if needs else sampled
        weights = importance_weights(log_probs, sampled, sequence.target_mask)
        advantages = self.credit.samples * per_token(advantages, sequence.target_mask)
        worth = None if slopes is None else self.worth(slopes, sequence, groups)
        scored = (scores, rewards, advantages, worth)
        return Rollout(sequence, log_probs, reference, weights, trained, *scored)

    def worth(self, slopes: Tensor, sequence: TokenSequence, rewards: Tensor) -> Tensor:
        """What points are worth at each place, by slopes and rewards [B, G] of all ranks."""
        slopes = slopes * (self.credit.gradient / self.over_ranks(self.objective.unit(rewards)))
        points = drawn_points(self.codec, sequence)
        moments = self.over_ranks(slope_moments(slopes, points, self.group_size))
        return parabolas(slopes, points, curvature(moments))

    def improve(self, minibatch: Rollout) -> dict[str, Tensor]:
        """One optimizer step on the GRPO objective; the terms to log."""
        optimizer, logged = cast(Optimizer, self.optimizers()), defaultdict[str, Any](float)
        optimizer.zero_grad()
        parts = list(sequence_parts(minibatch.sequence, self.group_size, self.token_budget))
        whole = self.over_ranks(self.objective.size(minibatch.trained)).clamp(min=1e-9)
        tokens = self.over_ranks(minibatch.trained.sum()).clamp(min=1e-9)
        with self.observer.timed("update"), self.backbone.whole() as model:
            for part in parts:
                rollout = minibatch.select(part.rows)
                logits = self.logits(rollout.sequence, part.group_size, model)
                loss, terms = self.objective.loss(logits, rollout, self.bonus(logits, rollout))
                share = self.objective.size(rollout.trained) / whole
                with self.synchronised(part is parts[-1]):
                    self.manual_backward(loss * share)
                for name, term in terms.items():
                    logged[name] += term * rollout.trained.sum() / tokens
            self.clip_gradients(optimizer, self.clip_norm, "norm")
            logged |= self.temperature.step(optimizer)
        cast(torch.optim.lr_scheduler.LRScheduler, self.lr_schedulers()).step()
        return dict(logged)

    def bonus(self, logits: Tensor, rollout: Rollout) -> Tensor | None:
        """What the decoder's gradient says of logits [K, V], [K]; None if it does not count."""
        if rollout.parabolas is None:
            return None
        points = known_points(self.codec, logits.device)
        return expected_worth(logits, rollout.parabolas.flatten(0, 1), points)

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage == "fit":
            if self.weights is None and not self.is_trained:
                raise ValueError("model.weights: RLVR starts from an MLE checkpoint; give its path")
            if self.temperature_lr is not None:
                self.backbone.gains.learn()
            self.reference = Frozen(split(copy.deepcopy(self.backbone), self.strategy))
            without_dropout(self.backbone)

    def new_optimizer(self) -> Optimizer:
        optimizer = super().new_optimizer()
        if self.temperature_lr is not None:
            self.temperature = OwnTemperature(self.backbone.gains, self.temperature_lr)
        self.temperature.add_to(optimizer)
        return optimizer

    def configure_callbacks(self) -> list[Callback]:
        self.observer = logger = RolloutLogger()
        return [logger]
