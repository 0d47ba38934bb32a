"""What a demo is: a preset of configs, a folder of data, and steps from nothing to the tables."""

import json
import shlex
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch

from rlvr_world.demos.stages import Stages, contents
from rlvr_world.runs import config_path, folder_of

VALIDATIONS = 4
"""Validations of the control, among whose checkpoints the best is taken, as for RLVR."""

ENDLESS = 10**9
"""Samples of an epoch that ``limit_train_batches`` ends."""


class Demo(Stages):
    """Makes data, trains every stage and writes the tables.

    The steps are gone through twice: first every config is checked, then they are run. What an
    earlier run has finished is kept, and an interrupted stage goes on from its last checkpoint.

    Args:
        preset: Folder of the configs; the demo's own if not given.
        folder: Where checkpoints, logs and tables go; the folder of the preset's runs, such as
            ``checkpoints/pusht``, if not given.
        data: Folder of the data set; the one that the preset's data.yaml names if not given.
        recording: Options of the command that makes the data set, over those of recording.yaml:
            ``--recording.episodes.train 100``.
        tables: Options of the command that writes tables, over those of their configs:
            ``--tables.limit 100``.
        **stages: See ``Stages``.
    """

    default_preset: ClassVar[str]
    source: ClassVar[str]
    """The command of the group ``data`` that makes the data set."""
    overlays: ClassVar[Sequence[str]] = ()
    """Variants of the RLVR config, each a run of its own."""
    control_lr = 1e-3
    """The learning rate that the control begins with, or that of MLE if it is lower."""
    by_hand: ClassVar[Sequence[str] | None] = ()
    """Options with which a person steps the trained model; None if there is no page for it."""

    def __init__(
        self,
        preset: Path | None = None,
        folder: Path | None = None,
        data: Path | None = None,
        recording: dict[str, Any] | None = None,
        tables: dict[str, Any] | None = None,
        **stages: Any,
    ) -> None:
        self.preset = preset or Path(self.default_preset)
        super().__init__(folder=folder or folder_of(self.config("data")), **stages)
        self.data = data or Path(self.arguments("data")["root"])
        self.recording, self.tables = options(recording), options(tables)
        self.checking = False

    @abstractmethod
    def steps(self) -> None:
        """Go through the steps in order."""

    def run_all(self) -> None:
        for self.checking in (True, False):
            self.steps()
        if self.by_hand is not None:
            best, last = (self.checkpoint("rlvr", which) for which in ("best", "last"))
            trained = best if best.exists() else last
            words = ("rlvr-world", "play", str(trained), f"--data={self.data}", *self.by_hand)
            said = f"Step it by hand: {shlex.join(words)}"
            self.console.print(said, soft_wrap=True, highlight=False, markup=False)

    def config(self, name: str) -> Path:
        """A config of the preset, or of the folder above it; the packaged one if it is missing."""
        own, shared = (config_path(at / f"{name}.yaml") for at in (self.preset, self.preset.parent))
        return shared if shared.exists() and not own.exists() else own

    def arguments(self, name: str) -> dict[str, Any]:
        if not self.config(name).exists():
            raise FileNotFoundError(f"{self.config(name)}: no such config; correct --preset")
        return contents(self.config(name))["init_args"]

    def beside_data(self, ending: str) -> Path:
        return self.data.with_name(f"{self.data.name}_{ending}")

    def make(self, name: str, *args: str, result: Path | None = None) -> None:
        """Run a command, noting its seconds under ``name``, unless it has left its result."""
        if not (self.checking or (result and result.exists())):
            self.run(" ".join(args[:2]), name, *args)

    def record(self) -> None:
        folder = ("-c", str(self.config("recording")), "--root", str(self.data))
        args = ("data", self.source, *folder, *self.recording)
        if self.checking:
            self.settings(*args)
        self.make("data", *args, result=self.data / "manifest.json")

    def learn(self, tokens: Path | None = None) -> None:
        """Train by MLE, by RLVR and by MLE for as long, and score; ``tokens`` are MLE's shards."""
        self.train("mle", config="world_model", data=tokens)
        self.train("rlvr")
        for overlay in self.overlays:
            self.train(f"rlvr_{overlay}", overlay, config="rlvr")
        self.control(tokens)
        self.table()

    def train(
        self, run: str, *variant: str, config: str = "", data: Path | None = None, **options: Any
    ) -> None:
        """Train a run by a config of its name or another one, and an overlay of it as a variant."""
        configs = [self.config(name) for name in (config or run, *variant)]
        if self.checking:
            self.settings(*self.fit_command(run, configs))
        else:
            named = {"data.root": data or self.data, **options}
            self.fit(run, configs, *(f"--{name}={value}" for name, value in named.items()))

    def control(self, data: Path | None = None) -> None:
        """Train MLE on for as long as RLVR took, on a schedule that fits."""
        batches, rate = 2, self.control_lr
        if not self.checking:
            mle = torch.load(self.checkpoint("mle"), weights_only=True)
            share = self.trained_seconds("rlvr") / self.trained_seconds("mle")
            batches = max(2, round(round(share * mle["global_step"]) / VALIDATIONS))
            rate = min(rate, first_rate(mle))
        settings: dict[str, Any] = {
            "model.weights": "mle",
            "model.optimizer.lr": rate,
            "data.samples_per_epoch": ENDLESS,
            "trainer.max_epochs": VALIDATIONS,
            "trainer.max_steps": VALIDATIONS * batches,
            "trainer.limit_train_batches": batches,
        }
        self.train("mle_equal_time", config="world_model", data=data, **settings)

    def table(
        self,
        config: str = "evaluation",
        output: str = "",
        data: Path | None = None,
        split: str = "",
    ) -> None:
        """Score the models of a config of the preset, on another split if one is given.

        A scene that learns from training data learns from the demo's own.
        """
        scene = contents(self.config(config)).get("scene", {}).get("init_args", {})
        own = (f"--scene.init_args.training={self.data}",) if "training" in scene else ()
        asked = (*own, *self.tables)
        if self.checking:
            self.settings("evaluate", "-c", str(self.config(config)), *asked)
        else:
            choice = (f"--data.test_split={split}",) if split else ()
            given = (f"--folder={self.folder}", *choice, *asked)
            self.evaluate(self.config(config), data or self.data, self.folder / output, *given)


def options(values: dict[str, Any] | None) -> list[str]:
    """Values by name as options of a command."""
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in (values or {}).items()}
    return [f"--{name}={text}" for name, text in texts.items()]


def first_rate(checkpoint: dict[str, Any]) -> float:
    """The highest learning rate that the optimizer of a checkpoint began with."""
    groups = [group for state in checkpoint["optimizer_states"] for group in state["param_groups"]]
    return max(group.get("initial_lr", group["lr"]) for group in groups)
