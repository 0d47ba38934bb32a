"""One step of PushT: record, tokenise, maximise likelihood, reinforce, evaluate."""

from dataclasses import asdict
from pathlib import Path

from rlvr_world.demos.stages import Command
from rlvr_world.demos.video import VideoDemo
from rlvr_world.video.sources.pusht import Episodes


class PushTDemo(VideoDemo):
    """The whole path on PushT, one frame at a time. Arguments: see ``VideoDemo``."""

    def run_all(self) -> None:
        frames = self.record()
        codec = self.tokenize(frames)
        tokens = ("--data.root", str(self.tokens), *codec)
        self.fit("Stage 2: maximum likelihood", "mle", self.config("world_model"), *tokens)
        mle = ("--model.weights", str(self.checkpoint("mle")))
        self.fit("Stage 3: RLVR", "rlvr", self.config("rlvr"), *frames, *codec, *mle)
        title = "Control: maximum likelihood for as long as RLVR took"
        options = (*tokens, *mle, *self.equal_time("rlvr"))
        self.fit(title, "mle_equal_time", self.config("world_model"), *options)
        self.evaluate({"mle": "last", "mle_equal_time": "best", "rlvr": "best"})


def demo_pusht(
    command: Command,
    preset: str = "pusht_demo",
    folder: Path = Path("checkpoints/demo/pusht"),
    data: Path = Path("data/pusht"),
    episodes: Episodes = Episodes(),  # noqa: B008
    configs: Path = Path("configs"),
    overlay: Path | None = None,
) -> None:
    """Run the whole path on PushT: record, tokenise, MLE, RLVR, and the table.

    Recording, tokenizer and token shards of an earlier run are kept; an interrupted stage goes on
    from its last checkpoint.

    Args:
        command: Runs one command line of ``rlvr-world`` in this process.
        preset: Which configs to run, ``{configs}/*/{preset}.yaml``.
        folder: Where checkpoints, logs and the table go.
        data: Folder of the recording; its tokens go to ``{data}_tokens``.
        episodes: Episodes to record.
        configs: The folder of configs.
        overlay: YAML that says where and how every stage trains, such as ``configs/trainer/``'s.
    """
    PushTDemo(
        "pusht", asdict(episodes), command=command, preset=preset, folder=folder, data=data,
        configs=configs, overlay=overlay,
    ).run_all()  # fmt: skip
