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
SHARES = ("unchanged", "changed", "overall")


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
        beside: The other judge, whose first three shares stand beside the others: for ``upstream``
            they are ``upstream_unchanged``, ``upstream_changed`` and ``upstream_overall``.
    """

    grouping = "game"
    macro = MACRO

    def __init__(
        self, judge: Rule = "strict", form: Form = "difference", beside: Rule | None = None
    ) -> None:
        if beside == judge:
            raise ValueError(f"beside: {beside} is the judge already; leave it out")
        self.judge = TextGameJudge(judge, form=form)
        self.beside = None if beside is None else TextGameJudge(beside, form=form)
        more = {} if beside is None else {beside_name(beside, name): name for name in SHARES}
        self.labels = LABELS | {new: f"{beside}: {LABELS[name]}" for new, name in more.items()}
        self.higher_is_better = dict.fromkeys(self.labels, True)

    def groups(self, batch: Batch) -> list[str]:
        return [transition.game for transition in batch["transition"]]

    def score(self, prediction: Sequence[str], batch: Batch) -> dict[str, Tensor]:
        transitions = batch["transition"]
        group = len(prediction) // len(transitions)
        targets = [transition for transition in transitions for _ in range(group)]
        reasons = judged(self.judge, prediction, targets)
        readable = torch.tensor([reason not in UNREADABLE for reason in reasons])
        scores = shares(reasons, targets) | {"valid_json": PERCENT * readable.float()}
        if self.beside is not None:
            found = shares(judged(self.beside, prediction, targets), targets)
            scores |= {
                beside_name(self.beside.rule, name): values for name, values in found.items()
            }
        return scores

    def references(
        self, batch: Batch, target: Sequence[Transition]
    ) -> dict[str, Mapping[str, Tensor]]:
        answers = [verb_rule(transition, self.judge.form) for transition in target]
        return {"verb_rule": self.score(answers, batch)}


def beside_name(rule: Rule, name: str) -> str:
    """What a share is called that another judge gives."""
    return f"{rule}_{name}"


def judged(
    judge: TextGameJudge, prediction: Sequence[str], targets: Sequence[Transition]
) -> list[str]:
    """What a judge says of each prediction."""
    return [judge(text, step).reason for text, step in zip(prediction, targets, strict=True)]


def shares(reasons: Sequence[str], targets: Sequence[Transition]) -> dict[str, Tensor]:
    """The ``SHARES`` of each prediction, [N]; NaN where one does not apply."""
    right = PERCENT * torch.tensor([reason == "right" for reason in reasons]).float()
    changed = torch.tensor([transition.changed for transition in targets])
    unchanged, changing = (right.masked_fill(mask, torch.nan) for mask in (changed, ~changed))
    return dict(zip(SHARES, (unchanged, changing, right), strict=True))
