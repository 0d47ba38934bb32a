"""A tokenizer learnt from text shards, for models that start from nothing."""

from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from rlvr_world.data.text import TextDataModule
from rlvr_world.states.answer import Form
from rlvr_world.states.prompt import Style, answer_text, prompt_text

END, PAD = "<end>", "<pad>"
WORDS = Regex(r" ?\d| ?[^\W\d_]+| ?[^\w\s]+|_|\s+")


def learn_bpe(
    root: str = "data/textworld",
    output: Path = Path("checkpoints/textworld_tokenizer"),
    vocab_size: int = 1024,
    style: Style = "compact",
    form: Form = "difference",
) -> None:
    """Learn a byte-pair encoding from the prompts and answers of the training split.

    Every text can be written with it, since single bytes are tokens too; digits stay apart.

    Args:
        root: Folder of text shards.
        output: Folder for the tokenizer, in ``transformers``' form.
        vocab_size: Number of tokens, two special ones included.
        style: Style of the prompts to learn from.
        form: Form of the answers to learn from.
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
    data = TextDataModule(root)
    for batch in data.once("train"):
        for transition, rules in zip(batch["transition"], batch["rules"], strict=True):
            yield prompt_text(transition, rules, style, form)
            yield answer_text(transition, style, form)
