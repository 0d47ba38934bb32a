"""Web pages: page and action as a prompt, the items that change as the answer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from rlvr_world.language.codec import TextCodec
from rlvr_world.types import Batch
from rlvr_world.web.answer import read_changes, reasoning_before
from rlvr_world.web.page import WebTransition
from rlvr_world.web.prompt import EXAMPLE, NO_CHANGE, page_answer, page_prompt
from rlvr_world.web.tree import line_text


class WebPageCodec(TextCodec):
    """A prompt with the page and the action, then the items that change and an end token.

    Args:
        tokenizer: Folder of a tokenizer in ``transformers``' form, or its name on the hub.
        prompt_length: The most tokens of a prompt.
        answer_length: The most tokens of an answer, its end token included.
        **options: See ``TextCodec``. In the style ``compact`` answers say of deleted items only
            their ids.
    """

    kind = WebTransition

    def __init__(
        self,
        tokenizer: Path | str | PreTrainedTokenizerBase,
        prompt_length: int = 1024,
        answer_length: int = 512,
        **options: Any,
    ) -> None:
        super().__init__(
            tokenizer=tokenizer,
            prompt_length=prompt_length,
            answer_length=answer_length,
            **options,
        )

    @property
    def layout(self) -> tuple[Any, ...]:
        known = ("web page", self.style, self.chat)
        return known if self.style == "compact" else (*known, page_prompt(EXAMPLE, self.style))

    def prompt_texts(self, batch: Batch) -> list[str]:
        return [page_prompt(transition, self.style) for transition in batch["transition"]]

    def answer_texts(self, batch: Batch) -> list[str]:
        return [page_answer(transition, self.style) for transition in batch["transition"]]

    def reasoning_of(self, text: str) -> str:
        return reasoning_before(text)

    def answered(self, step: WebTransition, text: str) -> WebTransition:
        """See ``TextCodec``; what an answer deletes without its being there is left out."""
        answer, known = read_changes(text), {element.id: element for element in step.elements}
        deleted = tuple(known[item.id] for item in answer.deleted if item.id in known)
        sections = answer._replace(deleted=deleted)._asdict()
        truth = {name: [line_text(item) for item in items] for name, items in sections.items()}
        return replace(step, truth=truth)

    def copy_last(self, batch: Batch) -> list[str]:
        """Answers that nothing changes."""
        return [NO_CHANGE for _ in batch["transition"]]
