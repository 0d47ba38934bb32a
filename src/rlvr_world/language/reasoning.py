"""Reasoning in words before an answer, as models write it that think first."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from rlvr_world.language.judge import BadAnswer

OPEN, CLOSE = "<think>", "</think>"
_LEADING = re.compile(rf"\s*{OPEN}")


def split_reasoning(text: str) -> tuple[str, str]:
    """The reasoning and the answer of a text; without ``</think>`` all of it is the answer."""
    reasoning, closed, answer = text.rpartition(CLOSE)
    return _LEADING.sub("", reasoning, count=1).strip(), answer.strip() if closed else text.strip()


def check_finished(before: str) -> None:
    """Raise ``BadAnswer`` if what stands before an answer is reasoning that goes on."""
    if before.rfind(OPEN) > before.rfind(CLOSE):
        raise BadAnswer("no answer", f"the reasoning does not end with {CLOSE}")


@dataclass(frozen=True)
class Thoughts:
    """How the reasoning of an answer begins and ends in the tokens of a tokenizer.

    A chat template may have opened the reasoning where the answer begins, as those of distilled
    models do, or have closed it, as some do where ``enable_thinking`` is false.

    Args:
        tokenizer: The tokenizer.
        prompt_end: What the prompt ends with; a template's own words.
        reasoning: Whether answers have reasoning where the template does not say so.
    """

    tokenizer: PreTrainedTokenizerBase
    prompt_end: str = ""
    reasoning: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the prompt has begun the reasoning."""
        return self.prompt_end.rstrip().endswith(OPEN)

    @property
    def is_closed(self) -> bool:
        """Whether the prompt has ended the reasoning, so that only the answer is left to say."""
        return self.prompt_end.rstrip().endswith(CLOSE)

    def parts(self, reasoning: str, answer: str) -> list[str]:
        """The text of an answer in pieces, of which those at odd places are marks."""
        if self.is_closed or not (self.reasoning or self.is_open):
            return [answer]
        said = f"{reasoning if self.reasoning else ''}\n"
        rest = [CLOSE, f"\n\n{answer}"]
        return [said, *rest] if self.is_open else ["", OPEN, f"\n{said}", *rest]

    def mark(self, name: str) -> Sequence[int]:
        """The tokens of ``<think>`` or ``</think>``: its own, or its letters'."""
        known: Any = self.tokenizer.get_added_vocab()
        if name in known:
            return [known[name]]
        return self.tokenizer(name, add_special_tokens=False)["input_ids"]
