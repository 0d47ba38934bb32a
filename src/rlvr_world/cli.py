"""The command line: Lightning's ``fit``, ``validate``, ``test`` and ``predict``, and a few more."""

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import torch
from jsonargparse import auto_cli
from lightning import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningCLI

from rlvr_world.demo import demo
from rlvr_world.evaluation.evaluate import evaluate
from rlvr_world.recording.pusht import pusht
from rlvr_world.recording.tokens import tokens

COMMANDS = {"data": {"pusht": pusht, "tokens": tokens}, "evaluate": evaluate, "demo": demo}


def main(args: Sequence[str] | None = None) -> None:
    """Run one command, in this process.

    Args:
        args: Command and options; those of the process if not given.
    """
    args = list(sys.argv[1:] if args is None else args)
    torch.set_float32_matmul_precision("high")
    if args and args[0] in COMMANDS:
        auto_cli(COMMANDS, args=args, as_positional=True)
    else:
        LightningCLI(
            LightningModule,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            seed_everything_default=0,
            save_config_kwargs={"overwrite": True},
            args=args,
        )


def console() -> None:
    """Run the command of this process; an error that this package raises is one sentence."""
    try:
        main()
    except (ValueError, FileNotFoundError) as error:
        origin = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
        if not origin.is_relative_to(Path(__file__).parent):
            raise
        sys.exit(f"rlvr-world: error: {error}")
