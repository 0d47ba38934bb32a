"""What answers about web pages have right, over all pages and over those that change."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from rlvr_world.evaluation.columns import SceneMetrics
from rlvr_world.language.judge import UNREADABLE, Rule
from rlvr_world.types import Batch
from rlvr_world.web.judge import WebJudge
from rlvr_world.web.page import WebTransition
from rlvr_world.web.references import focus_and_text, focus_moves

PERCENT = 100.0
MALFORMED = (*UNREADABLE, "wrong shape")
ITEMS = {"precision": "precision", "recall": "recall", "f1": "F1", "exact": "exact"}
LABELS = {
    **{name: f"{label} %" for name, label in ITEMS.items()},
    **{f"changed_{name}": f"changed {label} %" for name, label in ITEMS.items()},
    "macro_f1": "macro F1 %",
    "well_formed": "well-formed %",
}
MACRO = {"macro_f1": "f1"}
RULES = {"focus_moves": focus_moves, "focus_and_text": focus_and_text}


class WebPageItems(SceneMetrics):
    """How well answers list the items that change, in percent.

    - ``precision``, ``recall``, ``f1``: of the items of an answer, over all sections.
    - ``exact``: answers with all true items and no other.
    - ``changed_precision`` and so on: over the steps in which something changes.
    - ``macro_f1``: the mean over groups of each group's ``f1``, so that all groups count alike.
    - ``well_formed``: answers that have the three sections and nothing but items in them.

    The rows ``focus_moves`` and ``focus_and_text`` are rules, see ``rlvr_world.web.references``.

    Args:
        judge: ``strict`` counts the items of the final answer, ``upstream`` as the original does.
        by: What the further table goes by: tasks or sites.
    """

    labels = LABELS
    higher_is_better = dict.fromkeys(LABELS, True)
    macro = MACRO

    def __init__(self, judge: Rule = "strict", by: Literal["task", "site"] = "task") -> None:
        self.judge = WebJudge(judge)
        self.grouping = by
        self.by = by

    def groups(self, batch: Batch) -> list[str]:
        return [getattr(transition, self.by) for transition in batch["transition"]]

    def score(self, prediction: Sequence[str], batch: Batch) -> dict[str, Tensor]:
        """The metrics [B * G] of answers to B transitions; NaN where one does not apply."""
        transitions = batch["transition"]
        group = len(prediction) // len(transitions)
        targets = [transition for transition in transitions for _ in range(group)]
        found = [self.judge(*pair) for pair in zip(prediction, targets, strict=True)]
        changed = torch.tensor([transition.changed for transition in targets])
        rows = [[f.precision, f.recall, f.f1, f.reason == "right"] for f in found]
        columns = PERCENT * torch.tensor(rows).T  # [4, B * G]
        items = dict(zip(ITEMS, columns, strict=True))
        of_changed = {
            f"changed_{name}": v.masked_fill(~changed, torch.nan) for name, v in items.items()
        }
        formed = torch.tensor([f.reason not in MALFORMED for f in found])
        return items | of_changed | {"well_formed": PERCENT * formed.float()}

    def references(
        self, batch: Batch, target: Sequence[WebTransition]
    ) -> dict[str, Mapping[str, Tensor]]:
        return {name: self.score(list(map(rule, target)), batch) for name, rule in RULES.items()}
