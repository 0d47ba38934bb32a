"""A tokenizer learnt from text shards, for models that start from nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from rlvr_world.language.answer import Form
from rlvr_world.language.data import TransitionDataModule
from rlvr_world.language.prompt import Style, answer_text, prompt_text
from rlvr_world.text_game.data import TextDataModule
from rlvr_world.web.data import WebDataModule
from rlvr_world.web.page import WebTransition
from rlvr_world.web.prompt import page_answer, page_prompt

END, PAD = "<end>", "<pad>"
SYNTAX = r'(?:[\]})",{]+[A-Za-z]+":[\[{]*(?:"(?![A-Za-z]+":)#?)?)+'
"""From one JSON value to the next: closing marks, keys, opening marks."""

WORDS = Regex(rf"{SYNTAX}| \([A-Za-z]+: | ?\d| ?[^\W\d_]+| ?[^\w\s]+|_|\s+")

FLAGS = r"(?: [a-z]+: (?:true|false|mixed)?)"
"""The name of a property of an element; with its value where that is a state."""

SECTIONS = r"(?:\n*(?:None|(?:New|Deleted|Updated) items:))+\n*"
"""The parts of an answer about a page that hold nothing, from one item to the next."""

BETWEEN = rf"""(?:['"]{FLAGS}*|{FLAGS}+|\])?\n+\t*\[n?"""
"""From the name of one element to the id of the next."""

PAGE_WORDS = Regex(
    rf"""{SECTIONS}(?:\[n?)?|\n?[<>] [a-z]+ \[|\] \w+ ['"]|{BETWEEN}|['"]?{FLAGS}+"""
    r"| ?\d{1,3}| ?[^\W\d_]+| ?[^\w\s]+|_|\s+"
)


def learn_bpe(
    root: str = "data/textworld",
    output: Path = Path("checkpoints/textworld_tokenizer"),
    vocab_size: int = 2048,
    style: Style = "compact",
    form: Form = "difference",
) -> None:
    """Learn a byte-pair encoding from the prompts and answers of the training split.

    Every text can be written with it, since single bytes are tokens too. Digits stay apart, but for
    numbers below 1000 on web pages; what stands between two JSON values, or between the names and
    ids of elements, is one token where it is frequent.

    Args:
        root: Folder of shards of text games or of web pages.
        output: Folder for the tokenizer, in ``transformers``' form.
        vocab_size: Number of tokens, two special ones included.
        style: Style of the prompts to learn from.
        form: Form of the answers about text games to learn from.
    """
    data = transitions_in(root)
    words = PAGE_WORDS if isinstance(data, WebDataModule) else WORDS
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts(data, style, form), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PAD)
    fast.save_pretrained(output)


def texts(data: TransitionDataModule, style: Style, form: Form) -> Iterator[str]:
    """The prompts and answers of the training split, each once."""
    for batch in data.once("train"):
        for number, step in enumerate(batch["transition"]):
            if isinstance(step, WebTransition):
                yield from (page_prompt(step, style), page_answer(step, style))
            else:
                yield prompt_text(step, batch["rules"][number], style, form)
                yield answer_text(step, style, form)


def transitions_in(root: str) -> TransitionDataModule:
    """The transitions of a folder, of web pages if its manifest counts sites, else of games."""
    path = Path(root) / "manifest.json"
    splits = json.loads(path.read_text())["splits"].values() if path.exists() else ()
    return (WebDataModule if any("sites" in split for split in splits) else TextDataModule)(root)
