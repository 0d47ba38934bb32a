"""The command line: Lightning's ``fit``, ``validate``, ``test`` and ``predict``, and a few more."""

import inspect
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ActionConfigFile, ArgumentParser
from lightning import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningCLI

from rlvr_world.demos.bytesized32 import ByteSized32Demo
from rlvr_world.demos.group_size_analysis import GroupSizeAnalysis
from rlvr_world.demos.joint_analysis import JointAnalysis
from rlvr_world.demos.metric_analysis import MetricAnalysis
from rlvr_world.demos.multi_step import MultiStepDemo
from rlvr_world.demos.pusht import PushTDemo
from rlvr_world.demos.stages import Stages
from rlvr_world.demos.text_game import TextGameDemo
from rlvr_world.demos.web import AGENT_TASKS, TASKS, WebDemo
from rlvr_world.evaluation.best_of import best_of
from rlvr_world.evaluation.curves import curves
from rlvr_world.evaluation.evaluate import evaluate
from rlvr_world.evaluation.gains import gains
from rlvr_world.language.bpe import learn_bpe
from rlvr_world.language.smollm2 import smollm2
from rlvr_world.modules.saved import export
from rlvr_world.text_game.sources.bytesized32 import bytesized32
from rlvr_world.text_game.sources.textworld import Games, TextWorldRecorder
from rlvr_world.text_game.sources.textworld_game import Size
from rlvr_world.video.data.tokens import tokens
from rlvr_world.video.published.command import rt1
from rlvr_world.video.sources.counterfactual import CounterfactualRecorder
from rlvr_world.video.sources.dino_wm import DinoConverter
from rlvr_world.video.sources.metaworld import MetaWorldRecorder
from rlvr_world.video.sources.npz import NPZConverter
from rlvr_world.video.sources.pusht import Episodes, PushTRecorder
from rlvr_world.video.sources.rlds import RLDSConverter
from rlvr_world.web.agent.command import web_agent
from rlvr_world.web.sites.miniwob import missing_for_miniwob
from rlvr_world.web.sources.recorder import TaskEpisodes, WebRecorder
from rlvr_world.web.sources.webarena import webarena


def demo(
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
        preset: Which configs to run, ``{configs}/*/{preset}.yaml``.
        folder: Where checkpoints, logs and the table go.
        data: Folder of the recording; its tokens go to ``{data}_tokens``.
        episodes: Episodes to record.
        configs: The folder of configs.
        overlay: YAML that says where and how every stage trains, such as ``configs/trainer/``'s.
    """
    PushTDemo(
        "pusht", asdict(episodes), command=main, preset=preset, folder=folder, data=data,
        configs=configs, overlay=overlay,
    ).run_all()  # fmt: skip


def demo_multi_step(
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
        preset.partition("_")[0], episodes and asdict(episodes), command=main, preset=preset,
        folder=folder or Path("checkpoints/demo", name), data=data or Path("data", name),
        configs=configs, overlay=overlay,
    ).run_all()  # fmt: skip


def demo_text(
    preset: str = "textworld_demo",
    folder: Path = Path("checkpoints/demo/text_game"),
    data: Path = Path("data/textworld"),
    games: Games = Games(train=300),  # noqa: B008
    size: Size = Size(rooms=2, objects=4, quest_length=2),  # noqa: B008
    configs: Path = Path("configs"),
    overlay: Path | None = None,
) -> None:
    """Run the whole path on text games: make them, learn a tokenizer, MLE, RLVR, and the table.

    Games, tokenizer and MLE model of an earlier run are kept; an interrupted stage goes on from its
    last checkpoint.

    Args:
        preset: Which configs to run, ``{configs}/*/{preset}.yaml``, and those of the two rewards.
        folder: Where the tokenizer, checkpoints, logs and the table go.
        data: Folder of the games.
        games: Games to make.
        size: How large a game is.
        configs: The folder of configs.
        overlay: YAML that says where and how every stage trains, such as ``configs/trainer/``'s.
    """
    TextGameDemo(
        asdict(games), asdict(size), command=main, preset=preset, folder=folder, data=data,
        configs=configs, overlay=overlay,
    ).run_all()  # fmt: skip


def demo_bytesized32(
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
        source: Folder of the published files, see ``rlvr-world data bytesized32``.
        preset: Which configs to run: a small model from random weights, or SmolLM2 with LoRA.
        folder: Where the tokenizer, checkpoints, logs and the table go;
            ``checkpoints/bytesized32/small`` or ``.../smollm2`` if not given.
        data: Folder of the converted data.
        configs: The folder of configs.
        overlay: YAML that says where and how every stage trains, such as ``configs/trainer/``'s.
    """
    ByteSized32Demo(
        source, pretrained=preset == "bytesized32_smollm2", command=main, preset=preset,
        folder=folder or Path("checkpoints", *preset.split("_")), data=data, configs=configs,
        overlay=overlay,
    ).run_all()  # fmt: skip


def demo_web(
    preset: str = "web_demo",
    folder: Path | None = None,
    data: Path | None = None,
    episodes: TaskEpisodes = TaskEpisodes(train=14, val=1, test=1, test_tasks=3),  # noqa: B008
    tasks: Sequence[str] | None = TASKS,
    agent_tasks: Sequence[str] = AGENT_TASKS,
    agent_seeds: int = 2,
    configs: Path = Path("configs"),
    overlay: Path | None = None,
) -> None:
    """Run the whole path on web pages: record, MLE, RLVR, two tables, and agents that plan.

    The pages are those of MiniWoB++ in headless Chromium. Without Playwright, MiniWoB++ or
    Chromium, the demo says so and goes on with a small recording of pages of its own (forms, lists,
    tabs, dialogs, a cart) that comes with the package, and no agent acts. Recording, tokenizer and
    MLE model of an earlier run are kept; an interrupted stage goes on from its last checkpoint.

    table.json is about tasks that training never shows, known_tasks/table.json about other pages of
    known ones, agent/web_agent.json about agents.

    Args:
        preset: Which configs to run, ``{configs}/*/{preset}.yaml``.
        folder: Where the tokenizer, checkpoints, logs and tables go; ``checkpoints/demo/web`` if
            not given, and ``checkpoints/demo/web_pages`` without a browser.
        data: Folder of the recording; ``data/web`` if not given, and ``data/web_pages`` without a
            browser.
        episodes: Episodes to record of each task.
        tasks: Tasks to record; some that pages react to without drawing or timing if not given,
            all if null.
        agent_tasks: Tasks that the agents work on; none leaves the agents out.
        agent_seeds: Pages of each of these tasks.
        configs: The folder of configs.
        overlay: YAML that says where and how every stage trains, such as ``configs/trainer/``'s.
    """
    missing = missing_for_miniwob()
    name = "web_pages" if missing else "web"
    WebDemo(
        missing, asdict(episodes), tasks, agent_tasks, agent_seeds, command=main, preset=preset,
        folder=folder or Path("checkpoints/demo", name), data=data or Path("data", name),
        configs=configs, overlay=overlay,
    ).run_all()  # fmt: skip


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
    ("demo-multi-step",): demo_multi_step,
    ("demo-text",): demo_text,
    ("demo-bytesized32",): demo_bytesized32,
    ("demo-web",): demo_web,
    ("demo",): demo,
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
    given = {"command": main} if is_class and issubclass(component, Stages) else {}
    if is_class:
        parser.add_class_arguments(
            component, as_group=False, as_positional=not given, sub_configs=True, skip=set(given)
        )
    else:
        parser.add_function_arguments(
            component,
            as_group=False,
            as_positional=component in (bytesized32, webarena, demo_bytesized32, rt1),
            sub_configs=True,
        )
    options = parser.instantiate(parser.parse_args(args))
    options.pop("config")
    options = options.as_dict() if hasattr(options, "as_dict") else options
    result = component(**given, **options)
    if given:
        result.run_all()
    elif is_class:
        result.record()


def console() -> None:
    """Run the command of this process; an error that this package raises is one sentence."""
    try:
        main()
    except (ValueError, FileNotFoundError, ModuleNotFoundError) as error:
        origin = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
        if not origin.is_relative_to(Path(__file__).parent):
            raise
        sys.exit(f"rlvr-world: error: {error}")
