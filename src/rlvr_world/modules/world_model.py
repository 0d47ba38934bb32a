"""A world model: a codec for one modality and a causal model of its token sequences."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlvr_world.codec import Codec, check_codec, check_count
from rlvr_world.modules.means import Means
from rlvr_world.modules.prediction_rule import PredictionRule
from rlvr_world.modules.sharding import split
from rlvr_world.modules.stage import Stage
from rlvr_world.nn.sequence_model import SequenceModel
from rlvr_world.reward import Reward, RewardSet
from rlvr_world.rl.budget import sequence_parts
from rlvr_world.rl.losses import masked_mean, token_log_probs
from rlvr_world.rl.sampler import Sampler
from rlvr_world.rl.vllm.sampler import VLLMSampler
from rlvr_world.types import Batch, Prediction, TokenSequence


class WorldModel(Stage):
    """Predicts what an action changes.

    Args:
        codec: The modality: batches to token sequences and back.
        backbone: Constructor of the sequence model, given the codec's vocabulary size.
        seed: Seed of the sampled predictions in validation and of rollouts.
        rewards: Rewards by name: what RLVR maximises, and what validation reports of every stage.
        sampling: How the command ``predict`` samples; the model's own distribution if not given.
        **options: See ``Stage``.
    """

    monitor, monitor_mode = "val/nll", "min"

    def __init__(
        self,
        codec: Codec,
        backbone: Callable[[int], SequenceModel],
        seed: int = 0,
        rewards: dict[str, Reward] | None = None,
        sampling: Sampler | PredictionRule | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.save_hyperparameters()
        self.codec = codec
        self.backbone = backbone(codec.vocab_size)
        self.backbone.learn_geometry(codec)
        self.seed = seed
        self.rewards = RewardSet(rewards)
        self.sampling = sampling
        self.provenance: dict[str, Any] = {}  # of the checkpoint that it was loaded from
        self.is_checked = False
        self.means = Means()
        self.evaluating = ExitStack()
        self.is_last_part = True

    @property
    def is_trained(self) -> bool:
        return self.backbone.is_pretrained

    def setup(self, stage: str) -> None:
        super().setup(stage)
        data: Any = getattr(self._trainer, "datamodule", None)
        if data is not None and self.codec.fitting is not None:
            data.fitting = self.codec.fitting

    def log_probs(
        self,
        sequence: TokenSequence,
        group_size: int = 1,
        token_budget: int | None = None,
        model: SequenceModel | None = None,
        legal: Tensor | None = None,
    ) -> Tensor:
        """Log-probability of each predicted token given all tokens before it.

        Args:
            sequence: Filled sequences [B * G, T], members of a group being neighbours.
            group_size: G; the prompt that a group shares is computed once.
            token_budget: The most tokens that pass through the model at once; all if not given.
            model: The model to ask, with all its weights on each rank, instead of the own one.
            legal: The token ids that share the probability, [V] bool, instead of the codec's.

        Returns:
            [B * G, T], 0 at given positions.
        """
        parts = []
        with nullcontext() if model is None else model.whole() as model:
            for part in sequence_parts(sequence, group_size, token_budget):
                rows = sequence.select(part.rows)
                logits = self.logits(rows, part.group_size, model, legal)
                parts.append(token_log_probs(logits, rows))
        return torch.cat(parts)

    def logits(
        self,
        sequence: TokenSequence,
        group_size: int = 1,
        model: SequenceModel | None = None,
        legal: Tensor | None = None,
    ) -> Tensor:
        """Logits of the K predicted tokens, row after row: [K, V] float32, -inf if not legal."""
        model = self.backbone if model is None else model
        start, end = sequence.prompt_length - 1, sequence.target_end
        ids, padding = sequence.ids[:, :end], sequence.padding
        if group_size > 1 and start > 0:
            prompts = sequence.select(slice(None, None, group_size))
            cache = model.prompt_cache(prompts.ids[:, :start], prompts.padding)
            hidden = model(ids[:, start:-1], cache)
        else:
            hidden = model(ids[:, :-1], padding=padding)[:, start:]
        mask = sequence.target_mask[:, start + 1 : end]
        logits = model.logits(hidden[mask]).float()
        legal = self.legal_tokens() if legal is None else legal
        return logits.masked_fill(~legal, float("-inf"))

    def negative_log_likelihood(
        self, sequence: TokenSequence, model: SequenceModel | None = None
    ) -> Tensor:
        """The mean over predicted tokens, in nats."""
        return -masked_mean(self.log_probs(sequence, model=model), sequence.target_mask)

    def sample(
        self,
        batch: Batch,
        sampler: Sampler | VLLMSampler,
        group_size: int = 1,
        generator: torch.Generator | None = None,
    ) -> tuple[TokenSequence, Tensor]:
        """Sample ``group_size`` predictions of each transition: a rollout.

        Returns:
            The filled sequences [B * G, T], members of a group being neighbours, and the
            log-probabilities of the drawn tokens, [B * G, T], 0 elsewhere.
        """
        template, legal = self.codec.template(batch), self.legal_tokens()
        end = self.codec.end_token
        with self.backbone.whole() as model:
            return sampler(model, template, legal, group_size, generator, end)

    def predict(
        self,
        batch: Batch,
        sampler: Sampler | PredictionRule | None = None,
        generator: torch.Generator | None = None,
        group_size: int = 1,
        rewards: RewardSet | None = None,
    ) -> Prediction:
        """Predict ``group_size`` next states of each transition of a batch, [B * G].

        ``rewards`` are what ``MinimumBayesRisk`` compares by, the model's own if not given.
        """
        if isinstance(sampler, PredictionRule):
            own = self.rewards if rewards is None else rewards
            return sampler.predict(self, batch, own, group_size, generator)
        sequence, _ = self.sample(batch, sampler or Sampler(), group_size, generator)
        return self.codec.decode(sequence)

    def legal_tokens(self) -> Tensor:
        """Which token ids may be predicted, [V] bool, on the model's device."""
        return self.codec.legal_tokens().to(self.device)

    def generator(self, *key: int) -> torch.Generator:
        """A source of randomness that depends on the seed, the rank and ``key`` alone."""
        seed = hash((self.seed, self.global_rank, *key)) % 2**63
        return torch.Generator(self.device).manual_seed(seed)

    def configure_model(self) -> None:
        split(self.backbone, self.strategy)

    def synchronised(self, now: bool) -> AbstractContextManager[Any]:
        self.is_last_part = now
        return super().synchronised(now)

    def backward(self, loss: Tensor, *args: Any, **options: Any) -> None:
        super().backward(loss, *args, **options)
        twin = self.backbone.twin
        if twin is not None and twin.users and self.is_last_part:
            twin.hand_over_gradients()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        super().on_train_batch_start(batch, batch_idx)
        self.check(batch)

    def on_validation_batch_start(self, batch: Batch, *_: int) -> None:
        self.check(batch)

    def on_test_batch_start(self, batch: Batch, *_: int) -> None:
        self.check(batch)

    def on_validation_start(self) -> None:
        super().on_validation_start()
        self.on_test_start()

    def on_validation_end(self) -> None:
        super().on_validation_end()
        self.on_test_end()

    def on_test_start(self) -> None:
        """Hold all weights until the end, since ranks may have different numbers of batches."""
        self.evaluating.enter_context(self.backbone.whole())

    def on_test_end(self) -> None:
        self.evaluating.close()

    on_predict_start, on_predict_end = on_test_start, on_test_end

    def check(self, batch: Batch) -> None:
        """Hold the codec to its contract on the first batch."""
        if not self.is_checked:
            check_codec(self.codec, batch)
            self.is_checked = True

    def validation_step(self, batch: Batch, batch_idx: int, prefix: str = "val") -> dict[str, Any]:
        sequence, size = self.codec.encode(batch), len(batch["key"])
        nll = self.negative_log_likelihood(sequence, self.backbone)
        tokens = int(sequence.target_mask.sum())
        self.means.add(f"{prefix}/nll", nll, tokens)
        for part, count in self.codec.too_long(batch).items():
            self.means.add(f"{prefix}/too_long/{part}", count / size, size)
        prediction = self.predict(batch, generator=self.generator(batch_idx))
        target = check_count(f"{type(self.codec).__name__}.target", self.codec.target(batch), size)
        return {"prediction": prediction, "target": target}

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        return self.validation_step(batch, batch_idx, prefix="test")

    def predict_step(self, batch: Batch, batch_idx: int) -> Prediction:
        return self.predict(batch, self.sampling, self.generator(batch_idx))

    def on_validation_epoch_end(self) -> None:
        for name, mean in self.means.collect().items():
            self.log(name, mean, sync_dist=True, prog_bar=name.endswith("/nll"))

    on_test_epoch_end = on_validation_epoch_end

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["codec"] = {
            "class": type(self.codec).__name__,
            "fingerprint": self.codec.fingerprint,
            **self.codec.packed(),
        }
        checkpoint["backbone"] = self.backbone.packed()

    def check_compatible(self, checkpoint: dict[str, Any], path: Path) -> None:
        codec = checkpoint.get("codec")
        if codec is None:
            raise ValueError(f"{path}: not the checkpoint of a world model, it names no codec")
        if codec["fingerprint"] != self.codec.fingerprint:
            raise ValueError(
                f"{path}: trained on the tokens of {codec['class']} {codec['fingerprint']}, but "
                f"this model's codec is {type(self.codec).__name__} {self.codec.fingerprint}; give "
                "the tokenizer it was trained with, or train this stage again"
            )
