"""What the demos on text share: maximise likelihood, reinforce by two rewards, evaluate."""

from abc import abstractmethod

from rlvr_world.demos.demo import Demo

REWARDS = ("binary", "task_specific")
"""Variants of the RLVR config, one for each reward."""


class TextDemo(Demo):
    """The whole path on transitions in words, with two rewards. Arguments: see ``Demo``."""

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
            folders = ("--root", str(self.data), "--output", str(tokenizer))
            self.run("Learning a tokenizer", "tokenizer", "data", "bpe", *folders, *options)
        return ("--data.root", str(self.data), "--model.codec.tokenizer", str(tokenizer))

    def run_all(self) -> None:
        options = self.prepare()
        self.fit(
            "Stage 1: maximum likelihood", "mle", self.config("world_model"), *options, keep=True
        )
        mle = ("--model.weights", str(self.checkpoint("mle")))
        for reward in REWARDS:
            name, config = f"rlvr_{reward}", self.config("rlvr", f"_{reward}")
            self.fit(f"Stage 2: RLVR, {reward} reward", name, config, *options, *mle)
        title = "Control: maximum likelihood for as long as RLVR took"
        control = (*options, *mle, *self.equal_time("rlvr_binary"))
        self.fit(title, "mle_equal_time", self.config("world_model"), *control)
        rows = {"mle": "last", "mle_equal_time": "best"}
        self.evaluate(rows | {f"rlvr_{reward}": "best" for reward in REWARDS})
