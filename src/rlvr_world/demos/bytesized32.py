"""ByteSized32: convert the published files, maximise likelihood, reinforce, evaluate."""

from pathlib import Path
from typing import Any, Literal

from rlvr_world.demos.stages import Command
from rlvr_world.demos.text import TextDemo


class ByteSized32Demo(TextDemo):
    """The whole path on ByteSized32-State-Prediction, with two rewards.

    Args:
        source: Folder of the published files.
        pretrained: Tune SmolLM2 with LoRA instead of a model from random weights.
        **demo: See ``Demo``. The tokenizer goes to ``{folder}/tokenizer``, SmolLM2 to
            ``{folder}/source``.
    """

    def __init__(self, source: Path, pretrained: bool, **demo: Any) -> None:
        super().__init__(**demo)
        self.source, self.pretrained = source, pretrained

    def prepare(self) -> tuple[str, ...]:
        if not (self.data / "manifest.json").exists():
            files = (str(self.source), "--root", str(self.data))
            self.run("Converting ByteSized32", "data", "data", "bytesized32", *files)
        if not self.pretrained:
            return self.learn_tokenizer()
        model = str(self.folder / "source")
        self.run("Converting SmolLM2", "source", "convert", "smollm2", "--output", model)
        tokens = ("--data.root", str(self.data), "--model.codec.tokenizer", model)
        return (*tokens, "--model.backbone.source", model)


def demo_bytesized32(
    command: Command,
    source: Path,
    preset: Literal["bytesized32_small", "bytesized32_smollm2"] = "bytesized32_small",
    folder: Path | None = None,
    data: Path = Path("data/bytesized32"),
    configs: Path = Path("configs"),
    overlay: Path | None = None,
) -> None:
    """Run the whole path on ByteSized32: convert the published files, MLE, RLVR, and the table.

    Data, tokenizer and MLE model of an earlier run are kept; an interrupted stage goes on from its
    last checkpoint.

    Args:
        command: Runs one command line of ``rlvr-world`` in this process.
        source: Folder of the published files, see ``rlvr-world data bytesized32``.
        preset: Which configs to run: a small model from random weights, or SmolLM2 with LoRA.
        folder: Where the tokenizer, checkpoints, logs and the table go;
            ``checkpoints/bytesized32/small`` or ``.../smollm2`` if not given.
        data: Folder of the converted data.
        configs: The folder of configs.
        overlay: YAML that says where and how every stage trains, such as ``configs/trainer/``'s.
    """
    ByteSized32Demo(
        source, pretrained=preset == "bytesized32_smollm2", command=command, preset=preset,
        folder=folder or Path("checkpoints", *preset.split("_")), data=data, configs=configs,
        overlay=overlay,
    ).run_all()  # fmt: skip
