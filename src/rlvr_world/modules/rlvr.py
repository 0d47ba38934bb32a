"""Stage 3: reinforcement learning with verifiable rewards."""

import copy
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from rlvr_world.codec import Codec
from rlvr_world.frozen import Frozen
from rlvr_world.modules.world_model import WorldModel
from rlvr_world.nn.sequence_model import SequenceModel
from rlvr_world.reward import Reward, RewardSet
from rlvr_world.rl.advantages import spreadless_share
from rlvr_world.rl.budget import Part, split_groups
from rlvr_world.rl.credit import FrameCredit, per_token
from rlvr_world.rl.grpo import GRPO
from rlvr_world.rl.importance import importance_weights
from rlvr_world.rl.losses import masked_mean, token_entropy, token_log_probs
from rlvr_world.rl.sampler import Sampler
from rlvr_world.rl.temperature import LogitScale
from rlvr_world.rl.vllm.sampler import VLLMSampler
from rlvr_world.types import Batch, Rollout, TokenSequence
from rlvr_world.video.codecs.video_codec import VideoCodec


class RLVRWorldModel(WorldModel):
    """A world model tuned by GRPO on metrics of its decoded predictions (Section 4 of the paper).

    A training batch holds prompts. Each batch is one RL step: ``num_minibatches`` optimizer steps
    on ``group_size`` predictions for each prompt.

    Args:
        codec: The modality: batches to token sequences and back.
        backbone: Constructor of the sequence model, given the codec's vocabulary size.
        rewards: Rewards by name; their weighted sum is maximised.
        weights: Checkpoint of the MLE stage to start from, also the frozen reference policy; a
            pretrained backbone may do without.
        optimizer: Constructor of the optimizer, given the parameters.
        schedule: Learning-rate schedule by its name in ``transformers.get_scheduler``.
        warmup_steps: Optimizer steps over which the learning rate rises from 0.
        seed: Seed of the sampled predictions in validation and of rollouts.
        group_size: G, the number of predictions sampled for each prompt.
        num_minibatches: Optimizer steps on each rollout; divides the prompts of a batch.
        sampler: How predictions are sampled; it must draw from the full distribution. Where an
            engine of its own samples, its tokens are weighted by truncated importance sampling.
        token_budget: The most tokens that pass through the networks at once in the update and in
            decoding, a shared prompt counted once; all of a minibatch if not given. Smaller values
            need less memory and change no result.
        objective: How rewards become a loss.
        credit: For video of several frames: which frames count how much, and whose tokens they
            train; the mean over frames, for all tokens alike, if not given.
        clip_norm: Largest norm of the gradient.
        temperature_lr: Learning rate of the logarithm of the policy's temperature, which is learned
            as one more parameter and becomes part of the weights. Without it the temperature
            changes only as all weights do.
    """

    monitor, monitor_mode = "val/reward", "max"

    def __init__(
        self,
        codec: Codec,
        backbone: Callable[[int], SequenceModel],
        rewards: dict[str, Reward],
        weights: Path | None = None,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        schedule: str = "constant_with_warmup",
        warmup_steps: int = 0,
        seed: int = 0,
        group_size: int = 16,
        num_minibatches: int = 4,
        sampler: Sampler | VLLMSampler | None = None,
        token_budget: int | None = None,
        objective: GRPO = GRPO(),  # noqa: B008
        credit: FrameCredit | None = None,
        clip_norm: float = 1.0,
        temperature_lr: float | None = None,
    ) -> None:
        super().__init__(codec, backbone, optimizer, schedule, warmup_steps, weights, seed)
        if group_size < 2:
            raise ValueError(f"group_size must be at least 2 to compare members, got {group_size}")
        if credit is not None and credit.per_patch and not isinstance(codec, VideoCodec):
            raise ValueError(
                f"credit: per_patch is for tokens with a place; those of {type(codec).__name__} "
                "have none"
            )
        self.automatic_optimization = False
        self.rewards = RewardSet(rewards)
        self.sampler = sampler or Sampler()
        if not self.sampler.is_exact:
            raise ValueError(
                "sampler: training draws from the full distribution; leave temperature, top_k and "
                "top_p to evaluation"
            )
        self.group_size = group_size
        self.num_minibatches = num_minibatches
        self.token_budget = token_budget
        self.objective = objective
        self.credit = credit
        self.clip_norm = clip_norm
        self.temperature_lr = temperature_lr
        self.logit_scale: LogitScale | None = None
        self.reference: Frozen[SequenceModel] | None = None
        self.seconds: dict[str, float] = {}
        self.terms: dict[str, list[Tensor]] = {}

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage == "fit":
            if self.weights is None and not self.backbone.is_pretrained:
                raise ValueError("model.weights: RLVR starts from an MLE checkpoint; give its path")
            self.reference = Frozen(copy.deepcopy(self.backbone))
            without_dropout(self.backbone)

    def configure_optimizers(self) -> dict[str, Any]:
        optimizer = self.optimizer(p for p in self.parameters() if p.requires_grad)
        if self.temperature_lr is not None:
            self.logit_scale = LogitScale(self.backbone.gains)
            group = {"params": [self.logit_scale.log], "lr": self.temperature_lr}
            optimizer.add_param_group(group | {"weight_decay": 0.0})
        return {"optimizer": optimizer, "lr_scheduler": self.scheduled(optimizer)}

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, TokenSequence]:
        rollout = self.rollout(batch)
        for minibatch in self.minibatches(rollout):
            self.improve(minibatch)
        self.log_rollout(rollout)
        return {"sequence": rollout.sequence}

    @property
    def rl_step(self) -> int:
        """The number of rollouts since the start of the run."""
        return self.trainer.fit_loop.total_batch_idx

    @torch.no_grad()
    def rollout(self, batch: Batch) -> Rollout:
        """Sample a group of predictions for each prompt, score them and compare within groups."""
        self.seconds, self.terms = {}, defaultdict(list)
        sequence, sampled = self.sample(self.codec.template(batch))
        rewards, returns = self.returns(sequence, batch)
        with self.timed("update"):
            reference = self.all_log_probs(sequence, self.reference.on(self.device))
            log_probs = self.all_log_probs(sequence) if self.sampler.needs_correction else sampled
        importance = importance_weights(log_probs, sampled, sequence.target_mask)
        groups = rewards.unflatten(0, (-1, self.group_size))
        trained = self.objective.trained_tokens(sequence, groups, self.codec.end_token)
        advantages = self.advantages(returns, sequence.target_mask)
        return Rollout(sequence, log_probs, reference, importance, trained, rewards, advantages)

    def sample(self, template: TokenSequence) -> tuple[TokenSequence, Tensor]:
        """Fill each template ``group_size`` times: sequences and log-probabilities [B * G, T]."""
        with self.timed("rollout"):
            return self.sampler(
                self.backbone,
                template,
                self.legal_tokens(),
                self.group_size,
                self.generator(self.rl_step),
                self.codec.end_token,
            )

    def returns(self, sequence: TokenSequence, batch: Batch) -> tuple[Tensor, Tensor]:
        """What each prediction is worth, [B * G], and its parts: itself, its frames or patches.

        The returns of the parts are [B * G, P], P of each prediction in the order of its tokens.
        """
        rewards = self.reward(sequence, batch)
        if self.credit is None:
            return rewards, rewards[:, None]
        return self.credit.worth(rewards), self.credit.returns(rewards)

    def advantages(self, returns: Tensor, target_mask: Tensor) -> Tensor:
        """Advantages [B * G, 1] of whole predictions, or [B * G, T] from returns of parts."""
        groups = returns.T.unflatten(1, (-1, self.group_size))  # [P, B, G]
        advantages = torch.cat([self.objective.advantages(each) for each in groups], dim=1)
        return advantages if returns.shape[1] == 1 else per_token(advantages, target_mask)

    def reward(self, sequence: TokenSequence, batch: Batch) -> Tensor:
        """The total reward of each prediction, [B * G]; each term is logged.

        With ``credit``, that of each of its frames, [B * G, F], or of their patches,
        [B * G, F, h, w].
        """
        target = self.codec.target(batch)
        score_all = self.rewards.scores if self.credit is None else self.rewards.frame_scores
        if self.credit is not None and self.credit.per_patch:
            score_all = partial(self.rewards.patch_scores, grid=self.codec.grid)
        scores: dict[str, list[Tensor]] = {name: [] for name in self.rewards}
        for part in self.parts(sequence):
            with self.timed("decode"):
                prediction = self.codec.decode(sequence.select(part.rows))
            with self.timed("reward"):
                truth = target[part.prompts(self.group_size)]
                for name, score in score_all(prediction, truth).items():
                    scores[name].append(score)
        joined = {name: torch.cat(parts) for name, parts in scores.items()}
        for name, score in joined.items():
            self.log(f"train/reward/{name}", score.mean())
        return self.rewards.total(joined)

    def minibatches(self, rollout: Rollout) -> Iterator[Rollout]:
        """The rollout in ``num_minibatches`` random parts of whole groups."""
        rows = torch.arange(len(rollout.rewards), device=self.device).view(-1, self.group_size)
        if len(rows) % self.num_minibatches:
            raise ValueError(
                f"num_minibatches {self.num_minibatches} must divide the {len(rows)} prompts "
                "of a batch"
            )
        generator = self.generator(self.rl_step, 1)
        order = torch.randperm(len(rows), generator=generator, device=self.device)
        for part in order.chunk(self.num_minibatches):
            yield rollout.select(rows[part].flatten())

    def improve(self, minibatch: Rollout) -> None:
        """One optimizer step on the GRPO objective."""
        optimizer = self.optimizers()
        optimizer.zero_grad()
        with self.timed("update"):
            for part in self.parts(minibatch.sequence):
                rollout = minibatch.select(part.rows)
                loss, terms = self.loss(rollout, part.group_size)
                self.manual_backward(
                    loss * self.objective.share(rollout.trained, minibatch.trained)
                )
                for name, term in terms.items():
                    self.terms[name].append(term)
            self.clip_gradients(optimizer, self.clip_norm, "norm")
            self.step(optimizer)
        self.lr_schedulers().step()

    def step(self, optimizer: LightningOptimizer) -> None:
        """Step all weights, and with ``temperature_lr`` the scale of the logits."""
        if self.logit_scale is None:
            optimizer.step()
            return
        self.logit_scale.take_slope()
        optimizer.step()
        self.terms["logit_scale_change"].append(self.logit_scale.fold())

    def loss(self, rollout: Rollout, group_size: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective of some predictions, and what else to log of them."""
        logits = self.logits(rollout.sequence, group_size)
        log_probs, entropy = token_log_probs(logits, rollout.sequence), None
        if self.objective.entropy_weight:
            entropy = token_entropy(logits, rollout.sequence)
        return self.objective.loss(log_probs, rollout, entropy)

    def all_log_probs(self, sequence: TokenSequence, model: SequenceModel | None = None) -> Tensor:
        """``log_probs`` of a whole rollout, a part after another."""
        return torch.cat(
            [
                self.log_probs(sequence.select(part.rows), part.group_size, model)
                for part in self.parts(sequence)
            ]
        )

    def parts(self, sequence: TokenSequence) -> Iterator[Part]:
        """The rows that pass through the networks at once."""
        prompts, prompt = len(sequence.ids) // self.group_size, sequence.prompt_length
        own = sequence.target_end - prompt
        return split_groups(prompts, self.group_size, prompt, own, self.token_budget)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to ``seconds[name]``."""
        start = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def log_rollout(self, rollout: Rollout) -> None:
        """Log what tells a healthy run from a sick one."""
        mask = rollout.sequence.target_mask
        tokens = float(mask.sum())
        groups = rollout.rewards.unflatten(0, (-1, self.group_size))
        self.log("train/reward", rollout.rewards.mean(), prog_bar=True)
        self.log("train/reward_std", groups.std(dim=1).mean())
        self.log("train/spreadless_groups", spreadless_share(groups))
        self.log("train/entropy", masked_mean(-rollout.log_probs, mask))
        self.log("train/tokens_per_second", tokens / self.seconds["rollout"])
        self.log("rl_step", float(self.rl_step + 1))
        for name, values in self.terms.items():
            self.log(f"train/{name}", torch.stack(values).mean())
        for name, seconds in self.seconds.items():
            self.log(f"time/{name}", seconds)


def without_dropout(model: nn.Module) -> None:
    """Turn dropout off, so that sampling and update see the same network."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
