"""What a language model answers about next states, and why it is right or not."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

from lightning import Callback, LightningModule, Trainer

from rlvr_world.callbacks.boards import Table, boards
from rlvr_world.language.judge import Reason
from rlvr_world.language.rewards import AnswerReward
from rlvr_world.types import Batch

COLUMNS = ("state", "action", "truth", "answer", "reward", "reason")


class AnswerLogger(Callback):
    """Logs why answers are right or wrong, and shows some of them.

    ``val/share/<reason>`` is the share of validation answers with each reason, and ``val/answers``
    a table of the first ones; ``train/share/<reason>`` and ``train/answers`` are
    those of rollouts, in which the answers to one prompt are neighbours.

    Args:
        reward: The reward whose judge finds the reasons.
        num_answers: Number of answers to show.
        every: RL steps between two tables of rollouts.
    """

    def __init__(self, reward: AnswerReward, num_answers: int = 8, every: int = 20) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}")
        self.reward = reward
        self.num_answers = num_answers
        self.every = every
        self.counts: Counter[Reason] = Counter()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        module: Any,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        if "rollout" not in outputs:
            return
        sequence = outputs["rollout"].sequence
        answers, target = module.codec.decode(sequence), module.codec.target(batch)
        self.log_shares(module, "train", Counter(self.reward.reasons(answers, target)))
        if trainer.fit_loop.total_batch_idx % self.every == 0:
            self.show(trainer, "train", answers, target)

    def on_validation_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.counts.clear()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        answers, target = outputs["prediction"], outputs["target"]
        self.counts.update(self.reward.reasons(answers, target))
        if not (batch_idx or dataloader_idx or trainer.sanity_checking):
            self.show(trainer, "val", answers, target)

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        self.log_shares(module, "val", self.counts, sync_dist=True)

    def log_shares(
        self, module: LightningModule, prefix: str, counts: Counter[Reason], **options: Any
    ) -> None:
        total = max(sum(counts.values()), 1)
        for reason in get_args(Reason):
            name = f"{prefix}/share/{reason.replace(' ', '_')}"
            module.log(name, counts[reason] / total, **options)

    def show(
        self, trainer: Trainer, prefix: str, answers: Sequence[str], target: Sequence[Any]
    ) -> None:
        shown = boards(trainer)
        if not shown:
            return
        group = len(answers) // len(target)
        answers = answers[: self.num_answers]
        target = [target[index // group] for index in range(len(answers))]
        scores, reasons = self.reward.score(answers, target), self.reward.reasons(answers, target)
        steps = map(self.reward.shown, target)
        columns = zip(steps, answers, scores.tolist(), reasons, strict=True)
        table = Table(COLUMNS, [(*step, *others) for step, *others in columns])
        for board in shown:
            board.table(f"{prefix}/answers", table, trainer.fit_loop.total_batch_idx + 1)
