"""What the demos on text share: maximise likelihood, reinforce by each reward, evaluate."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from rlvr_world.demos.demo import Demo


class TextDemo(Demo):
    """The whole path on transitions in words. Arguments: see ``Demo``."""

    rewards: ClassVar[Mapping[str, str]] = {
        "_binary": "binary reward",
        "_task_specific": "task_specific reward",
    }
    """Variants of the RLVR config, and what each rewards."""

    data_module: ClassVar[str] = "rlvr_world.text_game.data.TextDataModule"
    """The class that reads the transitions."""

    @abstractmethod
    def prepare(self) -> tuple[str, ...]:
        """Make the data and the tokenizer unless they are there.

        Returns:
            Options that put both into every stage.
        """

    def learn_tokenizer(self, *options: str) -> tuple[str, ...]:
        """Learn ``{folder}/tokenizer`` unless it is there, and give the stages' options."""
        tokenizer = self.folder / "tokenizer"
        if not (tokenizer / "tokenizer.json").exists():
            data = (f"--data={self.data_module}", "--data.root", str(self.data))
            folder = ("--output", str(tokenizer))
            self.run("Learning a tokenizer", "tokenizer", "data", "bpe", *data, *folder, *options)
        return ("--data.root", str(self.data), "--model.codec.tokenizer", str(tokenizer))

    def run_all(self) -> None:
        options = self.prepare()
        self.fit(
            "Stage 1: maximum likelihood", "mle", self.config("world_model"), *options, keep=True
        )
        mle = ("--model.weights", str(self.checkpoint("mle")))
        for variant, reward in self.rewards.items():
            title, config = f"Stage 2: RLVR, {reward}", self.config("rlvr", variant)
            self.fit(title, f"rlvr{variant}", config, *options, *mle)
        title = "Control: maximum likelihood for as long as RLVR took"
        control = (*options, *mle, *self.equal_time(f"rlvr{next(iter(self.rewards))}"))
        self.fit(title, "mle_equal_time", self.config("world_model"), *control)
        rows = {"mle": "last", "mle_equal_time": "best"}
        self.evaluate(rows | {f"rlvr{variant}": "best" for variant in self.rewards})
