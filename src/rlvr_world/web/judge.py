"""A judge of answers about what changes on web pages, with limits."""

from dataclasses import dataclass
from functools import partial

from rlvr_world.language.judge import Rule, check_limits, within
from rlvr_world.web.judgement import WebJudgement
from rlvr_world.web.page import WebTransition
from rlvr_world.web.strict_judge import strict_judgement
from rlvr_world.web.upstream_judge import upstream_judgement

RULES = {"strict": strict_judgement, "upstream": upstream_judgement}


@dataclass(frozen=True)
class WebJudge:
    """Judges answers by one rule, each within limits, and remembers what it found.

    Args:
        rule: The rule.
        characters: A longer text is not read.
        seconds: An answer that takes longer, in processor time of its thread, scores nothing.
    """

    rule: Rule = "strict"
    characters: int = 65_536
    seconds: float = 1.0

    def __post_init__(self) -> None:
        check_limits(self.characters, self.seconds)

    def __call__(self, text: str, transition: WebTransition) -> WebJudgement:
        """What the answer in a text is worth as the changes of a transition."""
        return transition.once((self, text), lambda: self._judgement(text, transition))

    def _judgement(self, text: str, transition: WebTransition) -> WebJudgement:
        if len(text) > self.characters:
            return WebJudgement("over the limit")
        _ = transition.changes  # the work on the truth is none of the answer's
        work = partial(RULES[self.rule], text, transition)
        return within(self.seconds, work) or WebJudgement("over the limit")
