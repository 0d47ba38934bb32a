"""A tokenizer learnt from text shards, for models that start from nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from rlvr_world.data.text import TextDataModule
from rlvr_world.data.transitions import TransitionDataModule
from rlvr_world.data.web import WebDataModule
from rlvr_world.states.answer import Form
from rlvr_world.states.prompt import Style, answer_text, prompt_text
from rlvr_world.states.web_page import WebTransition
from rlvr_world.states.web_prompt import page_answer, page_prompt

END, PAD = "<end>", "<pad>"
SYNTAX = r'(?:[\]})",{]+[A-Za-z]+":[\[{]*(?:"(?![A-Za-z]+":)#?)?)+'
"""From one JSON value to the next: closing marks, keys, opening marks."""

WORDS = Regex(rf"{SYNTAX}| \([A-Za-z]+: | ?\d| ?[^\W\d_]+| ?[^\w\s]+|_|\s+")


def learn_bpe(
    root: str = "data/textworld",
    output: Path = Path("checkpoints/textworld_tokenizer"),
    vocab_size: int = 2048,
    style: Style = "compact",
    form: Form = "difference",
) -> None:
    """Learn a byte-pair encoding from the prompts and answers of the training split.

    Every text can be written with it, since single bytes are tokens too. Digits stay apart; what
    stands between two JSON values is one token where it is frequent.

    Args:
        root: Folder of shards of text games or of web pages.
        output: Folder for the tokenizer, in ``transformers``' form.
        vocab_size: Number of tokens, two special ones included.
        style: Style of the prompts to learn from.
        form: Form of the answers about text games to learn from.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(WORDS, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts(root, style, form), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PAD)
    fast.save_pretrained(output)


def texts(root: str, style: Style, form: Form) -> Iterator[str]:
    """The prompts and answers of the training split, each once."""
    data = transitions_in(root)
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
