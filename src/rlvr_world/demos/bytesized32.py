"""ByteSized32: convert the published files, maximise likelihood, reinforce, evaluate."""

from pathlib import Path
from typing import Any

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
