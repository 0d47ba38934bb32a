"""Text games: make them, learn a tokenizer, maximise likelihood, reinforce, evaluate."""

from collections.abc import Mapping
from typing import Any

from rlvr_world.demos.text import TextDemo


class TextGameDemo(TextDemo):
    """The whole path on generated text games, with two rewards.

    Args:
        games: Games to make by split.
        size: How large a game is: its rooms, objects and the length of its quest.
        **demo: See ``Demo``. The tokenizer goes to ``{folder}/tokenizer``.
    """

    def __init__(self, games: Mapping[str, int], size: Mapping[str, int], **demo: Any) -> None:
        super().__init__(**demo)
        self.games, self.size = games, size

    def prepare(self) -> tuple[str, ...]:
        if not (self.data / "manifest.json").exists():
            sizes = [f"--games.{split}={count}" for split, count in self.games.items()]
            sizes += [f"--size.{part}={count}" for part, count in self.size.items()]
            root = ("--root", str(self.data))
            self.run("Making text games", "data", "data", "textworld", *root, *sizes)
        return self.learn_tokenizer()
