"""The commands ``fit``, ``validate``, ``test`` and ``predict``: Lightning's, with our defaults."""

import logging
import os
import re
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger

from rlvr_world.callbacks.defaults import KeptBest, default_callbacks, listed
from rlvr_world.callbacks.prediction_writer import FrameFormat, PredictionWriter
from rlvr_world.command_line.configs import check_numbers, check_trainer
from rlvr_world.command_line.errors import Parser
from rlvr_world.files import locked
from rlvr_world.modules.checkpoint import CheckpointFiles
from rlvr_world.runs import (
    config_files,
    folder_of,
    is_left_by_run,
    relocated,
    run_of,
    with_artefacts,
)

HARMLESS = (
    "LightningCLI's args parameter is intended to run from within Python",
    "Attribute '.*' is an instance of `nn.Module` and is already saved",
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    "The number of training batches .* is smaller than the logging interval",
    "The '.*_dataloader' does not have many workers",
    "Checkpoint directory .* exists and is not empty",
    "Using ModelCheckpoint with manual optimization and every_n_train_steps",
    "Couldn't infer the batch indices fetched from your dataloader",
    "FSDP2-wrapped module .* returned a view tensor",
    "You are using `LearningRateMonitor` callback with models that have no learning rate",
)
"""Warnings of Lightning that ask for nothing."""

log = logging.getLogger("lightning.pytorch")

NAME = re.compile(r"(?!\.{1,2}$|\s)[^/\\\x00-\x1f]+(?<!\s)")
"""A run's name is that of a folder in the preset's."""

SHARDED = re.compile(r"fsdp(?!2)|deepspeed", re.IGNORECASE)
"""Strategies that write checkpoints in files of their own."""


class TrainingParser(Parser, LightningArgumentParser):
    """Lightning's parser, with our errors."""


class SaveConfig(SaveConfigCallback):
    """Writes the settings of a training run to config.yaml in its folder, whatever its logger."""

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write them when ``fit`` starts."""
        if stage == "fit":
            path = Path(self.config.folder, self.config.run, "config.yaml")
            path.parent.mkdir(parents=True, exist_ok=True)
            self.parser.save(self.config, path, skip_unset=False, overwrite=True)


class TrainingCLI(LightningCLI):
    """Trains or tests the module and the data that configs and options name.

    Adds the options ``folder`` and ``run``, which say where checkpoints, logs and config.yaml go,
    and ``checkpoint``, which chooses the best one; ``predict`` has ``output`` and ``frames``, too.
    Replaces the bare names of stages by their checkpoints.

    Args:
        args: The command and its options.
        run: Whether to run the command; if not, there is no command and objects are only made.
    """

    def __init__(self, args: Sequence[str], run: bool = True) -> None:
        for message in HARMLESS:
            warnings.filterwarnings("ignore", message)
        logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(is_no_tip)
        self.command = next(iter(args), "")
        self.first_config = next(iter(config_files(args)), None)
        with ExitStack() as self.held:
            super().__init__(
                LightningModule,
                LightningDataModule,
                save_config_callback=SaveConfig,
                save_config_kwargs={"save_to_log_dir": False},
                seed_everything_default=0,
                parser_kwargs={"prog": "rlvr-world", "description": __doc__},
                parser_class=TrainingParser,
                subclass_mode_model=True,
                subclass_mode_data=True,
                args=list(args),
                run=run,
                auto_configure_optimizers=False,
            )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """The command that is asked for, alone: parsers of the others would be made for nothing."""
        known = LightningCLI.subcommands()
        return {self.command: known[self.command]} if self.command in known else known

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--folder",
            type=Path,
            default=folder_of(self.first_config),
            help="Where the preset's runs go; named like the folder of the first config.",
        )
        parser.add_argument(
            "--run",
            type=str,
            default=run_of(self.first_config),
            help="Name of the run, a folder in `folder`; named like the first config.",
        )
        parser.add_argument(
            "--checkpoint",
            type=KeptBest | None,
            default=None,
            help="What chooses best.ckpt; the module's own choice if not given.",
        )
        if self.command == "predict":
            parser.add_argument(
                "--output",
                type=Path | None,
                default=None,
                help="Folder for the predictions; `predictions` in the run's folder if not given.",
            )
            parser.add_argument(
                "--frames", type=FrameFormat, default="png", help="How to write predicted frames."
            )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        super().parse_arguments(parser, args)
        command = self.config.get("subcommand")
        settings = self.config[command] if command else self.config
        check_numbers(settings)
        check_trainer(settings.trainer)
        if not NAME.fullmatch(str(settings.run)):
            raise ValueError(
                f"run: {settings.run!r} is no name of a folder; give one without slashes, line "
                "breaks or outer blanks"
            )
        settings = self.where_it_lies(settings, args)
        unread = () if command == "fit" else ("weights",)
        resolved = with_artefacts(settings, Path(settings.folder), unread)
        if not command:
            self.config = resolved
            return
        resolved.ckpt_path = own_checkpoint(command, resolved)
        if command == "predict":
            resolved.return_predictions = False
        self.take_packed_tokenizer(resolved)
        self.config[command] = resolved

    def where_it_lies(self, settings: Namespace, args: Any) -> Namespace:
        """The settings of a run by its own config.yaml, wherever its folder has been moved."""
        config = self.first_config
        asked = {str(arg).partition("=")[0] for arg in args}
        if config is None or not is_left_by_run(config) or "--folder" in asked:
            return settings
        settings = relocated(settings, Path(settings.folder), folder_of(config))
        settings.folder = folder_of(config)
        if "--run" not in asked:
            settings.run = run_of(config)
        return settings

    def take_packed_tokenizer(self, settings: Namespace) -> None:
        """Let a run by its own config.yaml read a tokenizer that is gone from its checkpoint."""
        codec = settings.get("model.init_args.codec.init_args")
        checkpoint, config = settings.ckpt_path, self.first_config
        if not (codec and checkpoint and config and is_left_by_run(config)):
            return
        tokenizer = codec.get("tokenizer")
        if tokenizer is not None and not Path(tokenizer).exists() and Path(checkpoint).is_file():
            codec["tokenizer"] = type(tokenizer)(checkpoint)

    def before_fit(self) -> None:
        """Refuse to write where another run does; the first rank holds the folder till it ends."""
        settings = self.config[self.subcommand]
        folder = Path(settings.folder, settings.run)
        if not self.trainer.is_global_zero:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.held.callback(os.close, locked(folder / ".lock"))
        except BlockingIOError as error:
            raise ValueError(
                f"{folder}: another run writes there now; wait for its end, or name this one by "
                "--run"
            ) from error
        except OSError as error:
            raise OSError(
                f"{folder}: cannot be written to ({error.strerror}); choose another by --folder"
            ) from error

    def before_validate(self) -> None:
        """Refuse to score weights that have learnt nothing."""
        settings = self.config[self.subcommand]
        if settings.ckpt_path is None and not getattr(self.model, "is_trained", True):
            folder = Path(settings.folder, settings.run, "checkpoints")
            raise FileNotFoundError(
                f"ckpt_path: {folder} has no checkpoint; give one, or run fit first"
            )

    before_test = before_predict = before_validate

    def _parse_ckpt_path(self) -> None:
        """Configs and options count: a checkpoint does not change their settings."""

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        settings = dict(self._get(self.config_init, "trainer"))
        folder, name = self._get(self.config_init, "folder"), self._get(self.config_init, "run")
        defaults = default_callbacks(
            self.model,
            self.datamodule,
            settings,
            folder / name / "checkpoints",
            self._get(self.config_init, "checkpoint"),
        )
        if settings["logger"] is None and not settings["barebones"]:
            kwargs["logger"] = TensorBoardLogger(folder, name, "", default_hp_metric=False)
        if not SHARDED.search(str(settings["strategy"])):
            kwargs["plugins"] = [*listed(settings["plugins"]), CheckpointFiles()]
        if self.command == "predict":
            output = self._get(self.config_init, "output") or folder / name / "predictions"
            frames = self._get(self.config_init, "frames")
            defaults.append(PredictionWriter(output, frames))
        callbacks = [*listed(settings["callbacks"]), *defaults]
        return super().instantiate_trainer(callbacks=callbacks, **kwargs)


def own_checkpoint(command: str, settings: Namespace) -> str | None:
    """The checkpoint that ``ckpt_path`` asks for, where it is ``last`` or ``best`` of the run.

    Without one, ``fit`` starts anew, and says so where there is a run already; the other commands
    take the run's best checkpoint or its last one.

    Raises:
        FileNotFoundError: There is none.
    """
    folder, asked = Path(settings.folder, settings.run, "checkpoints"), settings.ckpt_path
    there = {name: folder / f"{name}.ckpt" for name in ("best", "last")}
    if asked in there:
        if not there[asked].exists():
            raise FileNotFoundError(f"ckpt_path: {there[asked]} does not exist; leave it out")
        return str(there[asked])
    if asked is not None:
        return asked
    if command == "fit":
        if there["last"].exists():
            log.warning("%s holds a run, which this one replaces", folder.parent)
        return None
    for path in there.values():
        if path.exists():
            log.info("Its checkpoint is %s", path)
            return str(path)
    return None


def is_no_tip(record: logging.LogRecord) -> bool:
    """Whether a line of Lightning's log is about the run, not about other products."""
    return "Tip:" not in record.getMessage()
