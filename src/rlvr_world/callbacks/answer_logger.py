"""What a language model answers about the next states of text games, and why it is right or not."""

import html
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from rlvr_world.rewards.text_game import TextGameReward
from rlvr_world.states.judgement import Reason
from rlvr_world.states.text_game import Transition
from rlvr_world.types import Batch

COLUMNS = ("state", "action", "truth", "answer", "reward", "reason")


class AnswerLogger(Callback):
    """Logs why validation answers are right or wrong, and shows some of them.

    ``val/share/<reason>`` is the share of answers with each reason; ``val/answers`` is a table of
    the first ones in TensorBoard.

    Args:
        reward: The reward whose judge finds the reasons.
        num_answers: Number of answers to show.
    """

    def __init__(self, reward: TextGameReward, num_answers: int = 8) -> None:
        self.reward = reward
        self.num_answers = num_answers
        self.counts: Counter[Reason] = Counter()

    def on_validation_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Begin to count."""
        self.counts.clear()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Mapping[str, Any],
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count the reasons of a batch, and show the first one."""
        answers, target = outputs["prediction"], outputs["target"]
        reasons = self.reward.reasons(answers, target)
        self.counts.update(reasons)
        if batch_idx or dataloader_idx or trainer.sanity_checking or not trainer.is_global_zero:
            return
        scores = self.reward.score(answers, target).tolist()
        rows = zip(target, answers, scores, reasons, strict=True)
        text = answer_table(list(rows)[: self.num_answers])
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                step = trainer.fit_loop.total_batch_idx + 1
                logger.experiment.add_text("val/answers", text, step)

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Log the share of each reason."""
        total = max(sum(self.counts.values()), 1)
        for reason in get_args(Reason):
            name = f"val/share/{reason.replace(' ', '_')}"
            module.log(name, self.counts[reason] / total, sync_dist=True)


def answer_table(rows: Sequence[tuple[Transition, str, float, Reason]]) -> str:
    """A Markdown table of steps, answers, rewards and reasons."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + " --- |" * len(COLUMNS)]
    for transition, answer, score, reason in rows:
        given, truth = (json.dumps(part) for part in (transition.state, transition.difference))
        cells = (given, transition.action, truth, answer, f"{score:g}", reason)
        lines.append("| " + " | ".join(cell(text) for text in cells) + " |")
    return "\n".join(lines)


def cell(text: str) -> str:
    """Any text as one cell of a Markdown table."""
    return html.escape(" ".join(text.split()), quote=False).replace("|", "&#124;") or " "
