"""Video of a simulator: record, tokenise, maximise likelihood, reinforce, evaluate."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlvr_world.demos.demo import Demo


class PushTDemo(Demo):
    """The whole path on PushT.

    Args:
        episodes: Episodes to record by split.
        **demo: See ``Demo``. The tokens of the recording go to ``{data}_tokens``.
    """

    def __init__(self, episodes: Mapping[str, int], **demo: Any) -> None:
        super().__init__(**demo)
        self.episodes = episodes

    @property
    def tokens(self) -> Path:
        """Folder of the token shards."""
        return self.data.with_name(f"{self.data.name}_tokens")

    def run_all(self) -> None:
        frames = ("--data.root", str(self.data))
        if not (self.data / "manifest.json").exists():
            sizes = (f"--episodes.{split}={count}" for split, count in self.episodes.items())
            self.run("Recording PushT", "data", "data", "pusht", "--root", str(self.data), *sizes)
        self.fit("Stage 1: tokenizer", "tokenizer", self.config("tokenizer"), *frames, keep=True)
        folders = ("--source", str(self.data), "--root", str(self.tokens))
        tokenizer = ("--tokenizer", str(self.checkpoint("tokenizer")))
        self.run("Writing token shards", "tokens", "data", "tokens", *tokenizer, *folders)
        codec = ("--model.codec.tokenizer", tokenizer[1])
        tokens = ("--data.root", str(self.tokens), *codec)
        self.fit("Stage 2: maximum likelihood", "mle", self.config("world_model"), *tokens)
        mle = ("--model.weights", str(self.checkpoint("mle")))
        self.fit("Stage 3: RLVR", "rlvr", self.config("rlvr"), *frames, *codec, *mle)
        title = "Control: maximum likelihood for as long as RLVR took"
        options = (*tokens, *mle, *self.equal_time("rlvr"))
        self.fit(title, "mle_equal_time", self.config("world_model"), *options)
        self.evaluate({"mle": "last", "mle_equal_time": "best", "rlvr": "best"})
