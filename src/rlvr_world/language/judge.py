"""Judging answers in words by a rule, within limits; the rules are the rooms'."""

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

J = TypeVar("J")

Rule = Literal["strict", "upstream"]
"""Judge the whole next state, or as the original does."""

Reason = Literal["right", "wrong state", "wrong shape", "not JSON", "no answer", "over the limit"]
"""Right, or why not."""

UNREADABLE: tuple[Reason, ...] = ("not JSON", "no answer", "over the limit")
"""The reasons of answers in which nothing was read."""

ATTEMPTS = 2
"""An answer is over the time limit if each attempt is; one may hold a garbage collection."""


class BadAnswer(ValueError):
    """An answer that says no next state, with the reason and a sentence for people."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Judge(ABC, Generic[J]):
    """Judges answers by one rule, each within limits, and remembers the judgements.

    The cost of an answer grows with its length, so that the limit on characters bounds time and
    memory; the limit on time is on top of it and is looked at when an answer has been judged.

    Args:
        rule: The rule.
        characters: A longer text is not read.
        seconds: An answer that takes longer, in processor time of its thread, scores nothing.
    """

    rule: Rule = "strict"
    characters: int = 65_536
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.characters < 1 or not self.seconds > 0:
            raise ValueError(
                f"a judge needs limits above 0, got {self.characters} characters and "
                f"{self.seconds} seconds"
            )

    @abstractmethod
    def judgement(self, text: str, transition: Any) -> J:
        """What the rule says of a text, however long that takes."""

    @abstractmethod
    def unread(self, reason: Reason) -> J:
        """The judgement of an answer that is worth nothing for a reason."""

    def prepare(self, transition: Any) -> None:
        """Do the work on the truth, which counts for no answer."""

    def __call__(self, text: str, transition: Any) -> J:
        return transition.once((self, text), lambda: self._within_limits(text, transition))

    def _within_limits(self, text: str, transition: Any) -> J:
        if len(text) <= self.characters:
            self.prepare(transition)
            for _ in range(ATTEMPTS):
                start = time.thread_time()
                judgement = self.judgement(text, transition)
                if time.thread_time() - start <= self.seconds:
                    return judgement
        return self.unread("over the limit")
