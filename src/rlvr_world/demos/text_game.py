"""Text games: make them, learn a tokenizer, maximise likelihood, reinforce, evaluate."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rlvr_world.demos.stages import Command
from rlvr_world.demos.text import TextDemo
from rlvr_world.text_game.sources.textworld import Games
from rlvr_world.text_game.sources.textworld_game import Size


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


def demo_text(
    command: Command,
    preset: str = "textworld_demo",
    folder: Path = Path("checkpoints/demo/text_game"),
    data: Path = Path("data/textworld"),
    games: Games = Games(train=300),  # noqa: B008
    size: Size = Size(rooms=2, objects=4, quest_length=2),  # noqa: B008
    configs: Path = Path("configs"),
    overlay: Path | None = None,
) -> None:
    """Run the whole path on text games: make them, learn a tokenizer, MLE, RLVR, and the table.

    Games, tokenizer and MLE model of an earlier run are kept; an interrupted stage goes on from its
    last checkpoint.

    Args:
        command: Runs one command line of ``rlvr-world`` in this process.
        preset: Which configs to run, ``{configs}/*/{preset}.yaml``, and those of the two rewards.
        folder: Where the tokenizer, checkpoints, logs and the table go.
        data: Folder of the games.
        games: Games to make.
        size: How large a game is.
        configs: The folder of configs.
        overlay: YAML that says where and how every stage trains, such as ``configs/trainer/``'s.
    """
    TextGameDemo(
        asdict(games), asdict(size), command=command, preset=preset, folder=folder, data=data,
        configs=configs, overlay=overlay,
    ).run_all()  # fmt: skip
