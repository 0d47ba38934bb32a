"""One MLE model of several data sets, tuned by RLVR on each and scored on each."""

import json
from pathlib import Path
from typing import Any

from rlvr_world.demos.analysis import Analysis


class JointAnalysis(Analysis):
    """Train by MLE on several data sets together, then by RLVR on each, and score all on each.

    Writes a table for each data set into a folder of its name, and what RLVR gains on the joint MLE
    model in gains.json, gains.csv and gains.png. The data sets need frames and actions of one size.
    Runs that have finished are kept, an interrupted one goes on.

    Args:
        data: Folders of the shards by name, at least two.
        tokenizer: Checkpoint of a tokenizer, or a config (.yaml) to train one on all data sets.
        world_model: Config of MLE on token shards.
        mle_steps: Optimizer steps of MLE; those of the config if not given.
        **analysis: See ``Analysis``.
    """

    def __init__(
        self,
        data: dict[str, Path],
        tokenizer: Path,
        world_model: Path,
        mle_steps: int | None = None,
        **analysis: Any,
    ) -> None:
        super().__init__(**analysis)
        if len(data) < 2:
            raise ValueError(f"data: joint training needs two data sets or more, got {len(data)}")
        self.data, self.tokenizer, self.world_model = data, tokenizer, world_model
        self.mle_length = () if mle_steps is None else ("--trainer.max_steps", str(mle_steps))

    def run_all(self) -> None:
        tokenizer = self.tokenizer.absolute()
        if tokenizer.suffix in (".yaml", ".yml"):
            self.fit("tokenizer", [tokenizer], *roots(self.data))
            tokenizer = self.checkpoint("tokenizer")
        tokens = {name: self.folder / "tokens" / name for name in self.data}
        for name, root in self.data.items():
            folders = ("--source", str(root), "--root", str(tokens[name]))
            command = ("data", "tokens", "--tokenizer", str(tokenizer), *folders)
            self.run(f"Writing tokens of {name}", "tokens", *command)
        codec = ("--model.codec.tokenizer", str(tokenizer))
        self.fit("joint_mle", [self.world_model], *roots(tokens), *codec, *self.mle_length)
        models = {"joint_mle": self.checkpoint("joint_mle")}
        for name, root in self.data.items():
            run = f"rlvr_{name}"
            models[run] = self.reinforce(run, root, models["joint_mle"])
        tables = {name: self.folder / name for name in self.data}
        for name, root in self.data.items():
            self.compare(root, tables[name], models)
        self.plot_gains(tables, "joint_mle")


def roots(folders: dict[str, Path]) -> tuple[str, ...]:
    """Options that put several folders of shards into one stage."""
    first, *rest = map(str, folders.values())
    return ("--data.root", first, "--data.more_roots", json.dumps(rest))
