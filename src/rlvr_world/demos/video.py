"""What the demos on video share: record a simulator, learn a tokenizer, write token shards."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlvr_world.demos.demo import Demo


class VideoDemo(Demo):
    """A whole path on video of a simulator.

    Args:
        source: The simulator: ``rlvr-world data {source}`` records it.
        episodes: Episodes to record by split; as many as the recorder makes if not given.
        **demo: See ``Demo``. The tokens of the recording go to ``{data}_tokens``.
    """

    def __init__(self, source: str, episodes: Mapping[str, int] | None, **demo: Any) -> None:
        super().__init__(**demo)
        self.source, self.episodes = source, episodes or {}

    @property
    def tokens(self) -> Path:
        """Folder of the token shards."""
        return self.data.with_name(f"{self.data.name}_tokens")

    def record(self) -> tuple[str, ...]:
        """Record the simulator unless that is done; options that put the frames into a stage."""
        if not (self.data / "manifest.json").exists():
            sizes = (f"--episodes.{split}={count}" for split, count in self.episodes.items())
            root = ("--root", str(self.data))
            self.run(f"Recording {self.source}", "data", "data", self.source, *root, *sizes)
        return ("--data.root", str(self.data))

    def tokenize(self, frames: tuple[str, ...]) -> tuple[str, ...]:
        """Learn the tokenizer and write the tokens; options that put it into a stage."""
        self.fit("Stage 1: tokenizer", "tokenizer", self.config("tokenizer"), *frames, keep=True)
        tokenizer = str(self.checkpoint("tokenizer"))
        folders = ("--source", str(self.data), "--root", str(self.tokens))
        command = ("data", "tokens", "--tokenizer", tokenizer, *folders)
        self.run("Writing token shards", "tokens", *command)
        return ("--model.codec.tokenizer", tokenizer)
