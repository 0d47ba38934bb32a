"""Accuracy on text games by whether something changes, as the paper's tables have it."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rlvr_world.evaluation.columns import SceneMetrics
from rlvr_world.language.judge import UNREADABLE, Rule
from rlvr_world.language.transition import Form
from rlvr_world.text_game.judge import TextGameJudge
from rlvr_world.text_game.transition import Transition
from rlvr_world.text_game.verbs import verb_rule
from rlvr_world.types import Batch

PERCENT = 100.0
LABELS = {
    "unchanged": "unchanged %",
    "changed": "changed %",
    "overall": "overall %",
    "macro": "macro %",
    "valid_json": "valid JSON %",
}
MACRO = {"macro": "overall"}


class TextGameAccuracy(SceneMetrics):
    """Shares of right next states, in percent.

    - ``unchanged``, ``changed``: over the steps in which nothing or something changes.
    - ``overall``: over all steps.
    - ``macro``: the mean over games of each game's ``overall``, so that all games count alike.
    - ``valid_json``: answers that are JSON at all.

    The row ``verb_rule`` is a rule, see ``rlvr_world.text_game.verbs``.

    Args:
        judge: ``strict`` judges the whole next state, ``upstream`` as the original does.
        form: Whether answers say the difference or the whole next state.
    """

    labels = LABELS
    higher_is_better = dict.fromkeys(LABELS, True)
    grouping = "game"
    macro = MACRO

    def __init__(self, judge: Rule = "strict", form: Form = "difference") -> None:
        self.judge = TextGameJudge(judge, form=form)

    def groups(self, batch: Batch) -> list[str]:
        return [transition.game for transition in batch["transition"]]

    def score(self, prediction: Sequence[str], batch: Batch) -> dict[str, Tensor]:
        transitions = batch["transition"]
        group = len(prediction) // len(transitions)
        targets = [transition for transition in transitions for _ in range(group)]
        pairs = zip(prediction, targets, strict=True)
        reasons = [self.judge(text, transition).reason for text, transition in pairs]
        right = PERCENT * torch.tensor([reason == "right" for reason in reasons]).float()
        changed = torch.tensor([transition.changed for transition in targets])
        readable = torch.tensor([reason not in UNREADABLE for reason in reasons])
        return {
            "unchanged": right.masked_fill(changed, torch.nan),
            "changed": right.masked_fill(~changed, torch.nan),
            "overall": right,
            "valid_json": PERCENT * readable.float(),
        }

    def references(
        self, batch: Batch, target: Sequence[Transition]
    ) -> dict[str, Mapping[str, Tensor]]:
        answers = [verb_rule(transition, self.judge.form) for transition in target]
        return {"verb_rule": self.score(answers, batch)}
