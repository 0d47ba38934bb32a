"""Many frames at a time: a compressive tokenizer, RLVR with two rewards, other actions."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from rlvr_world.demos.stages import Command
from rlvr_world.demos.video import VideoDemo
from rlvr_world.video.sources.pusht import Episodes

REPLAYED = ("test", "test_counterfactual", "test_ood")
"""Splits with the recorded actions, with those of other clips, and with unusual ones."""


class MultiStepDemo(VideoDemo):
    """The whole path on clips of which seven frames are predicted. Arguments: see ``VideoDemo``.

    Stages that have finished with the same config on the same checkpoints are kept. A config
    ``state_probe/{preset}.yaml``, where there is one, trains the probe of the scene metrics. The
    recording with other actions goes to ``{data}_counterfactual``.
    """

    control_lr = 3e-4  # MLE ends near what it can do: 1e-3 undoes its decay and ends behind it

    def run_all(self) -> None:
        frames = self.record()
        scene = self.learn_probe(frames)
        codec = self.tokenize(frames)
        tokens = ("--data.root", str(self.tokens), *codec)
        world_model = self.config("world_model")
        self.fit("Stage 2: maximum likelihood", "mle", world_model, *tokens, keep=True)
        mle = ("--model.weights", str(self.checkpoint("mle")))
        for variant, reward in {"": "", "_repetition": " with a penalty on repetition"}.items():
            title, config = f"Stage 3: RLVR{reward}", self.config("rlvr", variant)
            self.fit(title, f"rlvr{variant}", config, *frames, *codec, *mle, keep=True)
        title = "Control: maximum likelihood for as long as RLVR took"
        options = (*tokens, *mle, *self.equal_time("rlvr"))
        self.fit(title, "mle_equal_time", world_model, *options, keep=True)
        last = self.checkpoints({"mle": "last"})
        rows = last | self.checkpoints({"mle_equal_time": "best", "rlvr": "best"})
        penalised = self.checkpoints({"rlvr_repetition": "best"})
        sampled = last | dict.fromkeys(("mle_rejection", "mle_likeliest"), last["mle"])
        table = self.config("evaluation")
        self.tabulate(table, self.data, self.folder, sampled | rows | penalised, *scene)
        self.tabulate_replayed(rows, *scene)

    def learn_probe(self, frames: tuple[str, ...]) -> tuple[str, ...]:
        """Train the probe if there is a config for it; options that put it into a table."""
        config = self.config("state_probe")
        if not Path(config).exists():
            return ()
        self.fit("State probe", "state_probe", config, *frames, keep=True)
        return ("--scene.probe", str(self.checkpoint("state_probe", "best")))

    def tabulate_replayed(self, models: Mapping[str, Path], *options: str) -> None:
        """Record how test clips go on with other actions, and score the models on them."""
        root = self.data.with_name(f"{self.data.name}_counterfactual")
        command = ("data", "counterfactual", str(self.data), "--root", str(root))
        self.run("Recording other actions", "counterfactual", *command)
        config = self.config("evaluation", "_counterfactual")
        for split in REPLAYED:
            folder = self.folder / "counterfactual" / split
            choice = ("--data.test_split", split)
            self.tabulate(config, root, folder, models, *choice, *options)


def demo_multi_step(
    command: Command,
    preset: Literal["metaworld_demo", "pusht_multi_step"] = "metaworld_demo",
    folder: Path | None = None,
    data: Path | None = None,
    episodes: Episodes | None = None,
    configs: Path = Path("configs"),
    overlay: Path | None = None,
) -> None:
    """Run the whole path on clips of which seven frames are predicted, and the tables.

    Record, learn a compressive tokenizer, MLE, RLVR with and without a penalty on repetition, and
    the same clips with other actions. Finished stages of an earlier run are kept; an interrupted
    one goes on from its last checkpoint.

    Args:
        command: Runs one command line of ``rlvr-world`` in this process.
        preset: Which configs to run, ``{configs}/*/{preset}.yaml``: Meta-World or PushT.
        folder: Where checkpoints, logs and tables go; ``checkpoints/demo/metaworld`` or
            ``checkpoints/demo/pusht_multi_step`` if not given.
        data: Folder of the recording, ``data/metaworld`` or ``data/pusht_multi_step`` if not given;
            tokens go to ``{data}_tokens``, clips with other actions to ``{data}_counterfactual``.
        episodes: Episodes to record; as many as the recorder makes if not given.
        configs: The folder of configs.
        overlay: YAML that says where and how every stage trains, such as ``configs/trainer/``'s.
    """
    name = preset.removesuffix("_demo")
    MultiStepDemo(
        preset.partition("_")[0], episodes and asdict(episodes), command=command, preset=preset,
        folder=folder or Path("checkpoints/demo", name), data=data or Path("data", name),
        configs=configs, overlay=overlay,
    ).run_all()  # fmt: skip
