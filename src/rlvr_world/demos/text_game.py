"""Text games: make them, learn a tokenizer, maximise likelihood, reinforce, evaluate."""

from collections.abc import Mapping
from typing import Any

from rlvr_world.demos.demo import Demo


class TextGameDemo(Demo):
    """The whole path on generated text games, with two rewards.

    Args:
        games: Games to make by split.
        size: How large a game is: its rooms, objects and the length of its quest.
        **demo: See ``Demo``. The tokenizer goes to ``{folder}/tokenizer``.
    """

    def __init__(self, games: Mapping[str, int], size: Mapping[str, int], **demo: Any) -> None:
        super().__init__(**demo)
        self.games, self.size = games, size

    def run_all(self) -> None:
        data, tokenizer = ("--data.root", str(self.data)), self.folder / "tokenizer"
        if not (self.data / "manifest.json").exists():
            sizes = [f"--games.{split}={count}" for split, count in self.games.items()]
            sizes += [f"--size.{part}={count}" for part, count in self.size.items()]
            root = ("--root", str(self.data))
            self.run("Making text games", "data", "data", "textworld", *root, *sizes)
        if not (tokenizer / "tokenizer.json").exists():
            folders = ("--root", str(self.data), "--output", str(tokenizer))
            self.run("Learning a tokenizer", "tokenizer", "data", "bpe", *folders)
        options = (*data, "--model.codec.tokenizer", str(tokenizer))
        self.fit(
            "Stage 1: maximum likelihood", "mle", self.config("world_model"), *options, keep=True
        )
        mle = ("--model.weights", str(self.checkpoint("mle")))
        for reward in ("binary", "task_specific"):
            name, config = f"rlvr_{reward}", self.config("rlvr", f"_{reward}")
            self.fit(f"Stage 2: RLVR, {reward} reward", name, config, *options, *mle)
        title = "Control: maximum likelihood for as long as RLVR took"
        control = (*options, *mle, *self.equal_time("rlvr_binary"))
        self.fit(title, "mle_equal_time", self.config("world_model"), *control)
        rows = {"mle": "last", "mle_equal_time": "best"}
        self.evaluate(rows | {"rlvr_binary": "best", "rlvr_task_specific": "best"})
