"""A tokenizer learnt from text shards, for models that start from nothing."""

from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from rlvr_world.language.data import TransitionDataModule
from rlvr_world.language.transition import Form, Style

END, PAD = "<end>", "<pad>"
SMALLEST = 256 + 2


def learn_bpe(
    data: TransitionDataModule,
    output: Path,
    vocab_size: int = 2048,
    style: Style = "compact",
    form: Form = "difference",
) -> None:
    """Learn a byte-pair encoding from the prompts and answers of the training split.

    Every text can be written with it, since single bytes are tokens too. Digits stay apart, but for
    numbers below 1000 on web pages; what stands between two JSON values, or between the names and
    ids of elements, is one token where it is frequent.

    Args:
        data: Transitions of text games or of web pages.
        output: Folder for the tokenizer, in ``transformers``' form, where the presets look for it:
            ``checkpoints/<preset>/tokenizer``.
        vocab_size: Number of tokens, two special ones included.
        style: Style of the prompts to learn from.
        form: Form of the answers to learn from; those about web pages have one form only.
    """
    if vocab_size < SMALLEST:
        raise ValueError(
            f"vocab_size must be at least {SMALLEST}: all bytes and two special tokens"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(data.word_pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    texts = (text for batch in data.once("train") for text in data.texts(batch, style, form))
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PAD)
    fast.save_pretrained(output)
