"""The command line: Lightning's ``fit``, ``validate``, ``test`` and ``predict``, and a few more."""

import inspect
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ActionConfigFile, ArgumentParser
from lightning import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningCLI

from rlvr_world.demos.bytesized32 import demo_bytesized32
from rlvr_world.demos.group_size_analysis import GroupSizeAnalysis
from rlvr_world.demos.joint_analysis import JointAnalysis
from rlvr_world.demos.metric_analysis import MetricAnalysis
from rlvr_world.demos.multi_step import demo_multi_step
from rlvr_world.demos.pusht import demo_pusht
from rlvr_world.demos.text_game import demo_text
from rlvr_world.demos.web import demo_web
from rlvr_world.evaluation.best_of import best_of
from rlvr_world.evaluation.curves import curves
from rlvr_world.evaluation.evaluate import evaluate
from rlvr_world.evaluation.gains import gains
from rlvr_world.language.bpe import learn_bpe
from rlvr_world.language.smollm2 import smollm2
from rlvr_world.modules.saved import export
from rlvr_world.text_game.sources.bytesized32 import bytesized32
from rlvr_world.text_game.sources.textworld import TextWorldRecorder
from rlvr_world.video.data.tokens import tokens
from rlvr_world.video.published.command import rt1
from rlvr_world.video.sources.counterfactual import CounterfactualRecorder
from rlvr_world.video.sources.dino_wm import DinoConverter
from rlvr_world.video.sources.metaworld import MetaWorldRecorder
from rlvr_world.video.sources.npz import NPZConverter
from rlvr_world.video.sources.pusht import PushTRecorder
from rlvr_world.video.sources.rlds import RLDSConverter
from rlvr_world.web.agent.command import web_agent
from rlvr_world.web.sources.recorder import WebRecorder
from rlvr_world.web.sources.webarena import webarena

COMMANDS: dict[tuple[str, ...], Callable[..., Any]] = {
    ("data", "pusht"): PushTRecorder,
    ("data", "rlds"): RLDSConverter,
    ("data", "npz"): NPZConverter,
    ("data", "dino"): DinoConverter,
    ("data", "tokens"): tokens,
    ("data", "textworld"): TextWorldRecorder,
    ("data", "metaworld"): MetaWorldRecorder,
    ("data", "counterfactual"): CounterfactualRecorder,
    ("data", "bytesized32"): bytesized32,
    ("data", "web"): WebRecorder,
    ("data", "webarena"): webarena,
    ("data", "bpe"): learn_bpe,
    ("evaluate",): evaluate,
    ("best-of",): best_of,
    ("web-agent",): web_agent,
    ("analyse", "metrics"): MetricAnalysis,
    ("analyse", "group-size"): GroupSizeAnalysis,
    ("analyse", "joint"): JointAnalysis,
    ("analyse", "curves"): curves,
    ("analyse", "gains"): gains,
    ("export",): export,
    ("convert", "smollm2"): smollm2,
    ("convert", "rt1"): rt1,
    ("demo", "multi-step"): demo_multi_step,
    ("demo", "textworld"): demo_text,
    ("demo", "bytesized32"): demo_bytesized32,
    ("demo", "web"): demo_web,
    ("demo", "pusht"): demo_pusht,
}


HARMLESS = (
    "LightningCLI's args parameter is intended to run from within Python",
    "Attribute '.*' is an instance of `nn.Module` and is already saved",
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    "The number of training batches .* is smaller than the logging interval",
    "The '.*_dataloader' does not have many workers",
    "Checkpoint directory .* exists and is not empty",
)
"""Warnings of Lightning that ask for nothing."""


def main(args: Sequence[str] | None = None) -> None:
    """Run one command in this process.

    Args:
        args: The command and its options; those of the process if not given.
    """
    args = list(sys.argv[1:] if args is None else args)
    for message in HARMLESS:
        warnings.filterwarnings("ignore", message)
    if args and args[0] in {n[0] for n in COMMANDS if n[1:]} and tuple(args[:2]) not in COMMANDS:
        choices = " | ".join(name[1] for name in COMMANDS if name[0] == args[0] and name[1:])
        sys.exit(f"usage: rlvr-world {args[0]} {{{choices}}} [options]")
    for name, component in COMMANDS.items():
        if tuple(args[: len(name)]) == name:
            run_command(" ".join(name), component, args[len(name) :])
            return
    LightningCLI(
        LightningModule,
        LightningDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        auto_configure_optimizers=False,
        seed_everything_default=0,
        save_config_kwargs={"overwrite": True},
        parser_kwargs={"description": "Other commands: " + ", ".join(map(" ".join, COMMANDS))},
        args=args,
    )


def run_command(name: str, component: Callable[..., Any], args: Sequence[str]) -> None:
    """Call a function, or let a recorder or an analysis run, as options and YAML say."""
    description = (inspect.getdoc(component) or "").partition("\n\nArgs:")[0]
    parser = ArgumentParser(prog=f"rlvr-world {name}", description=description)
    parser.add_argument("-c", "--config", action=ActionConfigFile, help="A YAML file of options.")
    is_class = inspect.isclass(component)
    needs_command = is_class and hasattr(component, "run_all")
    needs_command = needs_command or "command" in inspect.signature(component).parameters
    given = {"command": main} if needs_command else {}
    if is_class:
        parser.add_class_arguments(
            component, as_group=False, as_positional=not given, sub_configs=True, skip=set(given)
        )
    else:
        parser.add_function_arguments(
            component,
            as_group=False,
            as_positional=component in (bytesized32, webarena, demo_bytesized32, rt1),
            skip=set(given),
            sub_configs=True,
        )
    options = parser.instantiate(parser.parse_args(args))
    options.pop("config")
    options = options.as_dict() if hasattr(options, "as_dict") else options
    result = component(**given, **options)
    if is_class:
        (result.run_all if given else result.record)()


def console() -> None:
    """Run the command of this process; an error that this package raises is one sentence."""
    try:
        main()
    except (ValueError, FileNotFoundError, ModuleNotFoundError) as error:
        origin = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
        if not origin.is_relative_to(Path(__file__).parent):
            raise
        sys.exit(f"rlvr-world: error: {error}")
