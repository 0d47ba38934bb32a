"""Published RT-1 checkpoints as those of our stages."""

from pathlib import Path
from typing import Any

from lightning import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from rlvr_world.files import sha256
from rlvr_world.modules.mle import MLEWorldModel
from rlvr_world.nn.transformer import Transformer
from rlvr_world.video.published.configs import published_config
from rlvr_world.video.published.folders import read_published, write_published
from rlvr_world.video.tokenizer.tokenizer_model import TokenizerModel

ON_THE_CPU = (
    "--trainer.accelerator=cpu",
    "--trainer.devices=1",
    "--trainer.num_nodes=1",
    "--trainer.strategy=auto",
    "--trainer.precision=32-true",
    "--trainer.logger=false",
    "--trainer.callbacks=null",
)

SPLIT = {"source": "npz", "split_by": "paper"}
"""How a manifest says the split whose training episodes the published models know."""


def rt1(
    source: Path,
    output: Path | None = None,
    stage: Path | None = None,
    tokenizer: Path | None = None,
) -> None:
    """Convert a published RT-1 tokenizer or transformer (``thuml/rt1-...``) that was downloaded.

    ``config.json`` says what it is. A tokenizer becomes a folder that can be the ``tokenizer`` of a
    codec. A transformer becomes one that can be the ``source`` of a ``LanguageModel``; with
    ``stage`` and ``tokenizer`` it becomes ``model.ckpt``, a checkpoint as that stage would have
    written it, which RLVR starts from and which can be evaluated. Weights become float32.

    Args:
        source: Folder with ``config.json`` and safetensors.
        output: Folder to write; ``checkpoints/published/`` and the name of ``source`` if not given.
        stage: Config of the MLE stage of the transformer, such as
            ``configs/rt1/world_model.yaml``.
        tokenizer: Converted tokenizer that the transformer goes with.
    """
    output = output or Path("checkpoints/published", source.resolve().name)
    if output.exists() and (output.is_file() or any(output.iterdir())):
        raise ValueError(f"{output} holds files: use another output")
    model = read_published(source)
    if isinstance(model, TokenizerModel):
        if stage or tokenizer:
            raise ValueError(
                f"{source} is a tokenizer: stage and tokenizer are for transformers, leave them out"
            )
        model.export(output)
    elif stage and tokenizer:
        write_checkpoint(model, source, output / "model.ckpt", stage, tokenizer)
    elif stage or tokenizer:
        raise ValueError("stage and tokenizer go together: give both, or none")
    else:
        write_published(model, output)


class StageCLI(LightningCLI):
    """Reads the config of a stage, whose folder and names do not matter here."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        for option in ("--folder", "--run", "--checkpoint"):
            parser.add_argument(option, type=Any, default=None)


def write_checkpoint(
    model: Transformer, source: Path, output: Path, stage: Path, tokenizer: Path
) -> None:
    """Write what the MLE stage would have written, had it trained this transformer."""
    cli = StageCLI(
        LightningModule,
        LightningDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        auto_configure_optimizers=False,
        seed_everything_default=0,
        run=False,
        args=["-c", str(stage), "--model.codec.tokenizer", str(tokenizer), *ON_THE_CPU],
    )
    ours = cli.model
    if not isinstance(ours, MLEWorldModel) or not isinstance(ours.backbone, Transformer):
        raise ValueError(f"{stage}: not the MLE stage of a Transformer; give its config as stage")
    check_alike(ours.backbone, model, source, stage)
    ours.backbone.load_state_dict(model.state_dict())
    file = min(source.glob("model.safetensors*"))
    ours.parent = {"path": str(file), "sha256": sha256(file), "split": SPLIT}
    ours.trainer = cli.trainer
    cli.trainer.strategy.connect(ours)
    output.parent.mkdir(parents=True, exist_ok=True)
    cli.trainer.save_checkpoint(output)


def check_alike(ours: Transformer, theirs: Transformer, source: Path, stage: Path) -> None:
    """Raise ``ValueError`` if a stage is about a transformer of other settings."""
    asked, there = published_config(ours), published_config(theirs)
    for name in asked:
        if asked[name] != there[name]:
            raise ValueError(
                f"{source}: {name} is {there[name]}, but {stage} has {asked[name]}; give the "
                "config of this transformer as stage and the tokenizer that it goes with"
            )
