"""Text games: state and action as a prompt, what changes or the next state as the answer."""

from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from rlvr_world.language.answer import Form
from rlvr_world.language.codec import TextCodec
from rlvr_world.language.prompt import Style, answer_text, prompt_text, unchanged_text
from rlvr_world.text_game.references import resolved
from rlvr_world.types import Batch, TokenSequence


class TextGameCodec(TextCodec):
    """A prompt with the state and the action, then the answer and an end token.

    Prompts are padded on the left. What is longer than its limit is cut, a prompt at its beginning
    and an answer at its end; ``cut`` counts such texts and the first one is reported.

    Args:
        tokenizer: Folder of a tokenizer in ``transformers``' form, or its name on the hub.
        prompt_length: The most tokens of a prompt.
        answer_length: The most tokens of an answer, its end token included.
        style: ``long`` with instructions, examples and rules, or ``compact`` with state and action,
            in which ``#4`` stands for the name of the object with the uuid 4.
        form: Whether answers say the difference or the whole next state.
        chat: Put the prompt into the chat template of the tokenizer.
    """

    def __init__(
        self,
        tokenizer: Path | str | PreTrainedTokenizerBase,
        prompt_length: int = 512,
        answer_length: int = 256,
        style: Style = "compact",
        form: Form = "difference",
        chat: bool = False,
    ) -> None:
        super().__init__(tokenizer, prompt_length, answer_length, style, chat)
        self.form = form

    @property
    def layout(self) -> tuple[Any, ...]:
        return self.style, self.form, self.chat

    def prompt_texts(self, batch: Batch) -> list[str]:
        pairs = zip(batch["transition"], batch["rules"], strict=True)
        return [prompt_text(t, rules, self.style, self.form) for t, rules in pairs]

    def answer_texts(self, batch: Batch) -> list[str]:
        return [answer_text(t, self.style, self.form) for t in batch["transition"]]

    def decode(self, sequence: TokenSequence) -> list[str]:
        """The answers as text, with objects named in full."""
        answers = super().decode(sequence)
        if self.style == "long":
            return answers
        prompts = self.texts(sequence.ids, ~sequence.target_mask)
        return list(map(resolved, answers, prompts))

    def copy_last(self, batch: Batch) -> list[str]:
        """Answers that nothing changes."""
        return [unchanged_text(transition, self.form) for transition in batch["transition"]]
