"""A judge of answers about the next states of text games, with limits."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

from rlvr_world.language.answer import Form
from rlvr_world.language.judgement import Judgement
from rlvr_world.text_game.strict_judge import strict_judgement
from rlvr_world.text_game.transition import Transition
from rlvr_world.text_game.upstream_answer import repair_tools
from rlvr_world.text_game.upstream_judge import upstream_judgement

T = TypeVar("T")

Rule = Literal["strict", "upstream"]
"""Judge the whole next state, or as the original does."""

RULES = {"strict": strict_judgement, "upstream": upstream_judgement}

ATTEMPTS = 2
"""An answer is over the time limit if each attempt is; one may hold a garbage collection."""


@dataclass(frozen=True)
class Judge:
    """Judges answers by one rule, each within limits, and remembers what it found.

    The cost of an answer grows with its length, so that the limit on characters bounds time and
    memory; the limit on time is on top of it and is looked at when an answer has been judged.

    Args:
        rule: The rule.
        form: What answers say.
        characters: A longer text is not read.
        seconds: An answer that takes longer, in processor time of its thread, scores nothing.
    """

    rule: Rule = "strict"
    form: Form = "difference"
    characters: int = 65_536
    seconds: float = 1.0

    def __post_init__(self) -> None:
        check_limits(self.characters, self.seconds)
        if self.rule == "upstream":
            repair_tools()

    def __call__(self, text: str, transition: Transition) -> Judgement:
        """What the answer in a text is worth as the next state of a transition."""
        return transition.once((self, text), lambda: self._judgement(text, transition))

    def _judgement(self, text: str, transition: Transition) -> Judgement:
        if len(text) > self.characters:
            return Judgement("over the limit")
        work = partial(RULES[self.rule], text, transition, self.form)
        return within(self.seconds, work) or Judgement("over the limit")


def check_limits(characters: int, seconds: float) -> None:
    """Raise ``ValueError`` unless the limits of a judge are above 0."""
    if characters < 1 or not seconds > 0:
        raise ValueError(
            f"a judge needs limits above 0, got {characters} characters and {seconds} seconds"
        )


def within(seconds: float, work: Callable[[], T]) -> T | None:
    """The result of some work, or None if each attempt takes longer, in processor time."""
    for _ in range(ATTEMPTS):
        start = time.thread_time()
        result = work()
        if time.thread_time() - start <= seconds:
            return result
    return None
