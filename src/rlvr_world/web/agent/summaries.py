"""Summaries of imagined changes without a language model."""

from rlvr_world.web.action import Action
from rlvr_world.web.agent.parts import Imagined, Situation, Summary
from rlvr_world.web.agent.words import overlap
from rlvr_world.web.tree import Element, line_text

LONGEST_LINE = 240


class KeyChanges(Summary):
    """The changes that have most to do with the objective, one a line.

    Args:
        most: The number of changes, at most.
    """

    def __init__(self, most: int = 10) -> None:
        if most < 1:
            raise ValueError(f"most must be at least 1, got {most}")
        self.most = most

    def sum_up(self, situation: Situation, action: Action, imagined: Imagined) -> str:
        """Lines such as ``new: [n1] alert 'Saved'``."""
        if imagined.changes is None:
            return f"Nothing can be foreseen: {imagined.error}" if imagined.error else ""
        kinds = zip(("new", "deleted", "updated"), imagined.changes, strict=True)
        items = [(kind, item) for kind, part in kinds for item in part]
        if not items:
            return "Nothing changes."
        objective = situation.observation.objective
        chosen = sorted(items, key=lambda pair: -self._weight(*pair, objective))[: self.most]
        left = len(items) - len(chosen)
        rest = [f"and {left} more"] if left else []
        lines = [f"{kind}: {line_text(item)}"[:LONGEST_LINE] for kind, item in chosen]
        return "\n".join(lines + rest)

    @staticmethod
    def _weight(kind: str, item: Element, objective: str) -> float:
        """What is updated or named matters more than what goes."""
        return overlap(item, objective) + {"updated": 0.5, "new": 0.25, "deleted": 0.0}[kind]
