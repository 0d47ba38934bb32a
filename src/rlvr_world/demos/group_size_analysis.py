"""How much do larger groups help (the paper's scaling of the group size)?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlvr_world.demos.analysis import Analysis


class GroupSizeAnalysis(Analysis):
    """Train with groups of several sizes from one MLE checkpoint, for as many RL steps.

    Writes the curves of the validation rewards in curves.json, curves.csv and curves.png, the table
    of the test split in table.json and table.csv, and what the runs gain on MLE in gains.json,
    gains.csv and gains.png. Runs that have finished are kept, an interrupted one goes on.

    Args:
        mle: Checkpoint of the MLE stage.
        data: Folder of the shards.
        sizes: Numbers of predictions for each prompt.
        **analysis: See ``Analysis``.
    """

    def __init__(
        self, mle: Path, data: Path, sizes: Sequence[int] = (4, 8, 16, 32), **analysis: Any
    ) -> None:
        super().__init__(**analysis)
        if not sizes or min(sizes) < 2:
            raise ValueError(f"sizes must be at least 2 to compare members, got {list(sizes)}")
        self.mle, self.data, self.sizes = mle, data, sizes

    def run_all(self) -> None:
        runs = {}
        for size in self.sizes:
            name, group = f"group_{size}", ("--model.group_size", str(size))
            runs[name] = self.reinforce(name, self.data, self.mle, *group)
        self.plot_curves(list(runs))
        self.compare(self.data, self.folder, {"mle": self.mle, **runs})
        self.plot_gains({"": self.folder}, "mle")
