"""Tokenizers of language models, from a folder, the hub or a checkpoint that holds one."""

from pathlib import Path
from tempfile import TemporaryDirectory

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from rlvr_world.modules.checkpoint import load_checkpoint


def load_tokenizer(path: Path | str) -> PreTrainedTokenizerBase:
    """The tokenizer in a folder or in a world model's checkpoint, or by its name on the hub."""
    if Path(path).is_file():
        return packed_tokenizer(Path(path))
    try:
        return AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    except Exception as error:  # of whatever type, where a file of the folder is broken
        raise FileNotFoundError(
            f"{path}: no tokenizer in transformers' form; learn one with `rlvr-world data bpe`, "
            "or correct the path"
        ) from error


def packed(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    """The files of a tokenizer by name, as a checkpoint holds them."""
    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return {path.name: path.read_text() for path in sorted(Path(folder).iterdir())}


def packed_tokenizer(checkpoint: Path) -> PreTrainedTokenizerBase:
    """The tokenizer that a codec packed into a checkpoint."""
    try:
        files = load_checkpoint(checkpoint)["codec"]["tokenizer"]
    except (KeyError, TypeError) as error:
        raise FileNotFoundError(
            f"{checkpoint}: holds no language tokenizer; give the folder of one"
        ) from error
    with TemporaryDirectory() as folder:
        try:
            for name, text in files.items():
                Path(folder, Path(name).name).write_text(text)
            return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except Exception as error:
            reason = type(error).__name__
            raise ValueError(f"{checkpoint}: its tokenizer cannot be read ({reason})") from error
