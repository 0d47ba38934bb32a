"""What judging an answer about the changes of a web page finds."""

from typing import NamedTuple, Self

from rlvr_world.language.judgement import Reason


class WebJudgement(NamedTuple):
    """What a judge found.

    Args:
        reason: ``right``, or why not.
        precision: Share of the answer's items that are right, in [0, 1].
        recall: Share of the true items that the answer has, in [0, 1].
    """

    reason: Reason
    precision: float = 0.0
    recall: float = 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, in [0, 1]."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    @classmethod
    def of_counts(cls, matched: int, predicted: int, true: int) -> Self:
        """The judgement of an answer with so many items; nothing where nothing is true is right."""
        if not predicted and not true:
            return cls("right", 1.0, 1.0)
        reason = "right" if matched == predicted == true else "wrong state"
        return cls(reason, matched / predicted if predicted else 0.0, matched / true if true else 0)
