"""Text games: state and action as a prompt, what changes or the next state as the answer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from rlvr_world.language.codec import TextCodec
from rlvr_world.language.transition import Form
from rlvr_world.text_game.answer import reasoning_before
from rlvr_world.text_game.examples import EXAMPLES
from rlvr_world.text_game.judge import answered_state
from rlvr_world.text_game.prompt import answer_text, prompt_text, unchanged_text
from rlvr_world.text_game.references import resolved
from rlvr_world.text_game.transition import Transition
from rlvr_world.types import Batch, TokenSequence


class TextGameCodec(TextCodec):
    """A prompt with the state and the action, then the answer and an end token.

    Args:
        tokenizer: Folder of a tokenizer in ``transformers``' form, or its name on the hub.
        form: Whether answers say the difference or the whole next state.
        **options: See ``TextCodec``. The style ``long`` has examples and rules, too; in ``compact``
            ``#4`` stands for the name of the object with the uuid 4.
    """

    kind = Transition

    def __init__(
        self,
        tokenizer: Path | str | PreTrainedTokenizerBase,
        *,
        form: Form = "difference",
        **options: Any,
    ) -> None:
        super().__init__(tokenizer=tokenizer, **options)
        self.form = form

    @property
    def layout(self) -> tuple[Any, ...]:
        known = (self.style, self.form, self.chat)
        if self.style == "compact":
            return known
        return *known, prompt_text(EXAMPLES["full"][0], None, "long", self.form)

    def prompt_texts(self, batch: Batch) -> list[str]:
        pairs = zip(batch["transition"], batch["rules"], strict=True)
        return [prompt_text(t, rules, self.style, self.form) for t, rules in pairs]

    def answer_texts(self, batch: Batch) -> list[str]:
        return [answer_text(t, self.style, self.form) for t in batch["transition"]]

    def reasoning_of(self, text: str) -> str:
        return reasoning_before(text)

    def answered(self, step: Transition, text: str) -> Transition:
        return replace(step, target=answered_state(text, step, self.form)[0])

    def decode(self, sequence: TokenSequence) -> list[str]:
        answers = super().decode(sequence)
        if self.style == "long":
            return answers
        prompts = self.texts(sequence.ids, ~sequence.target_mask)
        return list(map(resolved, answers, prompts))

    def copy_last(self, batch: Batch) -> list[str]:
        return [unchanged_text(transition, self.form) for transition in batch["transition"]]
