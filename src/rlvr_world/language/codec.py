"""Prompt and answer in words as the tokens of a language model, whatever they are about."""

import hashlib
import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from rlvr_world.codec import Codec
from rlvr_world.data.samples import BadSample
from rlvr_world.language.judge import BadAnswer
from rlvr_world.language.reasoning import CLOSE, OPEN, Thoughts
from rlvr_world.language.tokenizers import load_tokenizer, packed
from rlvr_world.language.transition import Style, TextTransition
from rlvr_world.reward import group_size, repeat
from rlvr_world.types import Batch, TokenSequence

MESSAGE = "A message of the user."


class TextCodec(Codec):
    """A prompt with the state and the action, then the answer and an end token.

    Texts of the data never become control tokens. Prompts are padded on the left. A prompt that is
    longer than its limit is left out of training and of tables; an answer is cut at its end.
    ``cut`` counts such answers and the first one is reported.

    Args:
        tokenizer: Folder of a tokenizer in ``transformers``' form, or its name on the hub.
        prompt_length: The most tokens of a prompt.
        answer_length: The most tokens of an answer, its end token included.
        style: ``long`` with instructions, or ``compact`` with the state and the action alone.
        chat: Put the prompt into the chat template of the tokenizer. Where the template begins to
            think, the answer ends that with ``</think>`` before it says anything.
        chat_options: Arguments of the chat template, such as ``enable_thinking: false``.
        reasoning: Learn the reasoning that transitions carry, too: an answer is then ``<think>``,
            reasoning, ``</think>`` and the answer, with as much of it as the template leaves to
            say.
    """

    is_lossy = False
    kind: ClassVar[type[TextTransition] | None] = None
    """The steps that it reads; of any kind if None."""
    legal: Tensor
    end_token: int

    def __init__(
        self,
        tokenizer: Path | str | PreTrainedTokenizerBase,
        prompt_length: int = 512,
        answer_length: int = 256,
        style: Style = "compact",
        chat: bool = False,
        chat_options: dict[str, Any] | None = None,
        reasoning: bool = False,
    ) -> None:
        super().__init__()
        if isinstance(tokenizer, Path | str):
            tokenizer = load_tokenizer(tokenizer)
        end = tokenizer.eos_token_id
        if not isinstance(end, int):
            raise ValueError("tokenizer: it must have an end token (`eos_token`)")
        self.tokenizer = tokenizer
        self.vocab_size = len(tokenizer)
        self.end_token = end
        self.prompt_length, self.answer_length = prompt_length, answer_length
        if chat_options and not chat:
            raise ValueError("chat_options: they are of a chat template; set chat to true")
        self.style, self.chat, self.chat_options = style, chat, chat_options or {}
        self.reasoning = reasoning
        self.cut = 0
        legal = torch.ones(self.vocab_size, dtype=torch.bool)
        legal[[token for token in tokenizer.all_special_ids if token != end]] = False
        known: Any = tokenizer.get_added_vocab()
        if chat or reasoning:
            legal[[known[mark] for mark in (OPEN, CLOSE) if mark in known]] = True
        self.register_buffer("legal", legal, persistent=False)

    def packed(self) -> dict[str, Any]:
        return {"tokenizer": packed(self.tokenizer)}

    @property
    @abstractmethod
    def layout(self) -> tuple[Any, ...]:
        """The settings that say what prompts and answers look like."""

    @abstractmethod
    def prompt_texts(self, batch: Batch) -> list[str]:
        """The prompts of a batch, without the chat template."""

    @abstractmethod
    def answer_texts(self, batch: Batch) -> list[str]:
        """The true answers of a batch."""

    @abstractmethod
    def reasoning_of(self, text: str) -> str:
        """What a model thought before the answer that a text ends with."""

    @property
    def fingerprint(self) -> str:
        vocabulary = sorted(self.tokenizer.get_vocab().items(), key=lambda item: item[1])
        more = f" {self.chat_options} {self.reasoning}" * bool(self.chat_options or self.reasoning)
        return hashlib.sha256(f"{vocabulary} {self.layout}{more}".encode()).hexdigest()[:16]

    def encode(self, batch: Batch) -> TokenSequence:
        prompts = self.prompts(batch)
        answers = [self.shortened(ids, batch) for ids in self.whole_answers(batch)]
        longest = max(map(len, answers))
        mask = torch.tensor([[i < len(ids) for i in range(longest)] for ids in answers])
        filled = [ids + [self.end_token] * (longest - len(ids)) for ids in answers]
        return self.sequence(prompts, torch.tensor(filled), mask)

    def template(self, batch: Batch) -> TokenSequence:
        prompts = self.prompts(batch)
        blank = torch.zeros(len(prompts), self.answer_length, dtype=torch.long)
        return self.sequence(prompts, blank, torch.ones_like(blank, dtype=torch.bool))

    def decode(self, sequence: TokenSequence) -> list[str]:
        return self.texts(sequence.ids, sequence.target_mask)

    def texts(self, ids: Tensor, mask: Tensor) -> list[str]:
        """The text of those tokens [B, T] of each row that the mask [B, T] chooses."""
        rows = zip(ids.tolist(), mask.tolist(), strict=True)
        chosen = [
            [i for i, own in zip(ids, mask, strict=True) if own and i != self.end_token]
            for ids, mask in rows
        ]
        return self.tokenizer.batch_decode(chosen, clean_up_tokenization_spaces=False)

    def target(self, batch: Batch) -> list[Any]:
        return batch["transition"]

    @abstractmethod
    def answered(self, step: Any, text: str) -> Any:
        """The step whose true next state is what an answer says of a step.

        Raises:
            BadAnswer: It says no next state.
        """

    def as_target(self, prediction: Sequence[str], batch: Batch) -> list[Any]:
        steps = repeat(batch["transition"], group_size(prediction, batch["transition"]))
        pairs = zip(steps, prediction, strict=True)
        return [
            step.once(("as target", text), partial(self.said, step, text)) for step, text in pairs
        ]

    def said(self, step: Any, text: str) -> Any | None:
        """The same, None if it says no next state."""
        try:
            return self.answered(step, text)
        except BadAnswer:
            return None

    def export(self, backbone: Any, folder: Path) -> None:
        super().export(backbone, folder)
        self.tokenizer.save_pretrained(folder)

    def legal_tokens(self) -> Tensor:
        return self.legal

    def prompts(self, batch: Batch) -> list[list[int]]:
        """The tokens of the prompts.

        Raises:
            ValueError: One is too long; a model could not know what is asked.
        """
        prompts = self.whole_prompts(batch)
        for key, ids in zip(batch["key"], prompts, strict=True):
            if len(ids) > self.prompt_length:
                raise ValueError(
                    f"the prompt of {key} has {len(ids)} tokens, more than {self.prompt_length}; "
                    "raise prompt_length of the codec, or leave it out"
                )
        return prompts

    @property
    def fitting(self) -> Callable[[Batch], list[bool]]:
        return self.fits

    def fits(self, batch: Batch) -> list[bool]:
        kinds = {type(step) for step in batch["transition"]}
        if self.kind is not None and kinds != {self.kind}:
            names = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise BadSample(
                f"{type(self).__name__} reads steps of the kind {self.kind.__name__}, not {names}; "
                "give data of the model's kind"
            )
        return [len(ids) <= self.prompt_length for ids in self.whole_prompts(batch)]

    def whole_prompts(self, batch: Batch) -> list[list[int]]:
        prompts = self.tokens(self.prompt_texts(batch))
        if not self.chat:
            return prompts
        before, after = self.chat_frame
        return [[*before, *prompt, *after] for prompt in prompts]

    @cached_property
    def thoughts(self) -> Thoughts:
        end = self.chat_text[1] if self.chat else ""
        return Thoughts(self.tokenizer, end, self.reasoning)

    @cached_property
    def chat_frame(self) -> tuple[list[int], list[int]]:
        """The tokens that the chat template puts before and behind a message of the user."""
        before, after = self.tokenizer(self.chat_text, add_special_tokens=False)["input_ids"]
        return before, after

    @cached_property
    def chat_text(self) -> list[str]:
        """What the chat template puts before and behind a message of the user.

        Raises:
            ValueError: The template changes messages.
        """
        template: Any = self.tokenizer.apply_chat_template
        chat = [{"role": "user", "content": MESSAGE}]
        options = {"tokenize": False, "add_generation_prompt": True, **self.chat_options}
        pieces = template(chat, **options).split(MESSAGE)
        if len(pieces) != 2:
            raise ValueError("tokenizer: its chat template does not put a message in as it is")
        return pieces

    def whole_answers(self, batch: Batch) -> list[list[int]]:
        pairs = zip(batch["transition"], self.answer_texts(batch), strict=True)
        return [self.answer_tokens(step.reasoning, text) for step, text in pairs]

    def answer_tokens(self, reasoning: str, answer: str) -> list[int]:
        parts = self.thoughts.parts(reasoning, answer)
        said = self.tokens(parts[::2])
        marks = [*map(self.thoughts.mark, parts[1::2]), [self.end_token]]
        return [id for pair in zip(said, marks, strict=True) for ids in pair for id in ids]

    def too_long(self, batch: Batch) -> dict[str, int]:
        prompts, answers = self.whole_prompts(batch), self.whole_answers(batch)
        return {
            "prompt": sum(len(ids) > self.prompt_length for ids in prompts),
            "answer": sum(len(ids) > self.answer_length for ids in answers),
        }

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts, in which ``<end>`` and the like are words as all others."""
        options = {"add_special_tokens": False, "split_special_tokens": True}
        return self.tokenizer(list(texts), **options)["input_ids"]

    def shortened(self, ids: list[int], batch: Batch) -> list[int]:
        if len(ids) <= self.answer_length:
            return ids
        if not self.cut:
            warnings.warn(
                f"an answer of {len(ids)} tokens in the batch of {batch['key'][0]} is cut to "
                f"{self.answer_length}; raise answer_length of the codec to keep it whole",
                stacklevel=2,
            )
        self.cut += 1
        return ids[: self.answer_length]

    def sequence(self, prompts: list[list[int]], answers: Tensor, mask: Tensor) -> TokenSequence:
        """Prompts, padded on the left, before answers [B, A] of which ``mask`` is predicted."""
        longest = max(map(len, prompts))
        padding = [longest - len(ids) for ids in prompts]
        pairs = zip(padding, prompts, strict=True)
        given = torch.tensor([[self.end_token] * empty + ids for empty, ids in pairs])
        ids = torch.cat([given, answers], dim=1)
        mask = torch.cat([torch.zeros_like(given, dtype=torch.bool), mask], dim=1)
        device = self.legal.device
        return TokenSequence(ids.to(device), mask.to(device), torch.tensor(padding, device=device))
