"""The table of commands. What a command needs is imported when it is asked for."""

import pkgutil
import sys
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from rlvr_world import __version__
from rlvr_world.command_line.configs import check_configs
from rlvr_world.runs import config_files, with_packaged_configs
from rlvr_world.torch_pair import check_torch_pair

PROGRAM = "rlvr-world"
ABOUT = "World models trained by likelihood, then by RL with verifiable rewards"


class Entry(NamedTuple):
    """A command of the table.

    Args:
        target: Module and name of the function or class that runs; of Lightning's commands nothing.
        summary: One line of help.
        positional: Whether arguments without a default are given by position.
    """

    target: str
    summary: str
    positional: bool = False


GROUPS = {
    "data": "Record data, or convert it",
    "demo": "Run a whole path: data, every stage of training, tables",
    "analyse": "Repeat an analysis of the paper, or draw curves and gains",
    "convert": "Convert published models",
}

COMMANDS = {
    "fit": Entry("", "Train a stage: tokenizer, world model by likelihood, world model by RL"),
    "validate": Entry("", "Validate a checkpoint of a stage"),
    "test": Entry("", "Test a checkpoint of a stage"),
    "predict": Entry("", "Predict with a checkpoint of a stage"),
    "evaluate": Entry("evaluation.evaluate:evaluate", "Score checkpoints and baselines in a table"),
    "action-following": Entry(
        "evaluation.following:action_following", "Score the same starts with other actions"
    ),
    "best-of": Entry("evaluation.best_of:best_of", "Score the best of several samples"),
    "web-agent": Entry("web.agent.command:web_agent", "Let agents that plan work on web pages"),
    "plan": Entry("applications.planning.command:plan", "Reach goals by plans in world models"),
    "export": Entry("applications.export:export", "Write a checkpoint as the published ones are"),
    "init": Entry("video.preset:init", "Write the configs of a preset for your own video", True),
    "check": Entry("command_line.check:check", "Take one batch through each stage", True),
    "data pusht": Entry("video.sources.pusht:PushTRecorder", "Record the PushT simulator", True),
    "data metaworld": Entry(
        "video.sources.metaworld:MetaWorldRecorder", "Record the tasks of Meta-World", True
    ),
    "data counterfactual": Entry(
        "video.sources.counterfactual:CounterfactualRecorder",
        "Record how clips go on with other actions", True,
    ),
    "data rlds": Entry(
        "video.sources.rlds:RLDSConverter", "Convert Open X-Embodiment TFRecords", True
    ),
    "data npz": Entry("video.sources.npz:NPZConverter", "Convert the original's episodes", True),
    "data dino": Entry("video.sources.dino_wm:DinoConverter", "Convert data of DINO-WM", True),
    "data lerobot": Entry(
        "video.sources.lerobot:LeRobotConverter", "Convert LeRobot data sets", True
    ),
    "data hdf5": Entry(
        "video.sources.hdf5:HDF5Converter", "Convert HDF5 of robomimic or LIBERO", True
    ),
    "data zarr": Entry("video.sources.zarr:ZarrConverter", "Convert zarr of episodes", True),
    "data videos": Entry(
        "video.sources.videos:VideosConverter", "Convert MP4 files with actions in CSV", True
    ),
    "data tokens": Entry("video.data.tokens:tokens", "Write the tokens of a video recording"),
    "data textworld": Entry(
        "text_game.sources.textworld:TextWorldRecorder", "Make and record text games", True
    ),
    "data bytesized32": Entry(
        "text_game.sources.bytesized32:bytesized32", "Convert ByteSized32-State-Prediction", True
    ),
    "data bytesized32-cot": Entry(
        "text_game.sources.bytesized32_cot:bytesized32_cot",
        "Convert the published reasoning about ByteSized32", True,
    ),
    "data web": Entry("web.sources.recorder:WebRecorder", "Record web pages in a browser", True),
    "data packaged-pages": Entry(
        "web.recorded_pages:unpack_recorded_pages", "Unpack the web pages of the package"
    ),
    "data webarena": Entry(
        "web.sources.webarena:webarena", "Convert published transitions of WebArena", True
    ),
    "data rejection": Entry(
        "language.rejection:rejection", "Sample answers of a model, keep the right ones"
    ),
    "data bpe": Entry("language.bpe:learn_bpe", "Learn a tokenizer from shards of text"),
    "demo pusht": Entry("demos.presets:PushTDemo", "Robot video, one frame at a time"),
    "demo metaworld": Entry(
        "demos.presets:MetaWorldDemo", "Robot video of Meta-World, seven frames at a time"
    ),
    "demo pusht_multi_step": Entry(
        "demos.presets:PushTMultiStepDemo", "Robot video of PushT, seven frames at a time"
    ),
    "demo textworld": Entry("demos.presets:TextWorldDemo", "Text games that are made on the spot"),
    "demo bytesized32": Entry(
        "demos.presets:ByteSized32Demo", "Text games of ByteSized32", True
    ),
    "demo web": Entry("demos.presets:WebDemo", "Web pages, and agents that plan on them"),
    "demo shop": Entry("demos.presets:ShopDemo", "Pages of a shop that runs here"),
    "analyse metrics": Entry(
        "demos.analysis:MetricAnalysis", "Which metric gains by which reward"
    ),
    "analyse group-size": Entry(
        "demos.analysis:GroupSizeAnalysis", "How much larger groups help"
    ),
    "analyse joint": Entry(
        "demos.analysis:JointAnalysis", "One model of several data sets, tuned on each"
    ),
    "analyse curves": Entry("evaluation.curves:curves", "Draw the learning curves of runs"),
    "analyse gains": Entry("evaluation.gains:gains", "Draw what models gain on another one"),
    "convert smollm2": Entry("language.smollm2:smollm2", "Write SmolLM2 for transformers"),
    "convert rt1": Entry("video.published.command:rt1", "Convert published RT-1 models", True),
}  # fmt: skip

LIGHTNING = {"fit", "validate", "test", "predict"}

ROOMS = (
    "modules",
    "nn",
    "rl",
    "callbacks",
    "evaluation",
    "video",
    "language",
    "text_game",
    "web",
    "applications.planning",
)
"""Packages whose classes configs name by their short names."""

WITHOUT_PLUGS = {"sources", "sites", "browser", "published", "vllm"}
"""Packages in the rooms that hold nothing for configs of training."""


def main(args: Sequence[str] | None = None) -> None:
    """Run one command in this process.

    Args:
        args: The command and its options; those of the process if not given.
    """
    args = list(sys.argv[1:] if args is None else args)
    name, rest = split_command(args)
    trusted, rest = split_trusted(rest)
    rest = with_packaged_configs(rest)
    configs = config_files(rest)
    check_configs(rest)
    for folder in (Path.cwd(), *(file.absolute().parent for file in configs)):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    check_torch_pair()
    for module in trusted:
        trust(module)
    entry = COMMANDS[name]
    if name in LIGHTNING:
        import_rooms()
        load("command_line.training:TrainingCLI")([name, *rest])
        return
    component = load(entry.target)
    if not set(entry.target.split(".")) & WITHOUT_PLUGS:
        import_rooms()
    load("command_line.command:run_command")(name, component, rest, main, entry.positional)


def split_command(args: Sequence[str]) -> tuple[str, list[str]]:
    """The name of the command and its options; help, version and mistakes end here.

    Raises:
        SystemExit: There is nothing to run.
    """
    first, *rest = args or ["--help"]
    if first in ("-h", "--help"):
        finish(overview())
    if first == "--version":
        finish(f"{PROGRAM} {__version__}")
    if first not in GROUPS:
        known = [*GROUPS, *(name for name in COMMANDS if " " not in name)]
        return (first, rest) if first in COMMANDS else mistake(f"command {first}", first, known)
    if not rest or rest[0] in ("-h", "--help"):
        finish(group_overview(first))
    member = rest[0]
    if f"{first} {member}" not in COMMANDS:
        known = [name.partition(" ")[2] for name in COMMANDS if name.startswith(f"{first} ")]
        mistake(f"command {first} {member}", member, known)
    return f"{first} {member}", rest[1:]


def split_trusted(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """The modules that ``--trust`` names, each time that it is given, and the other options.

    They are imported, so that checkpoints may name their classes.
    """
    trusted, rest, words = [], [], iter(args)
    for word in words:
        option, equals, value = word.partition("=")
        if option == "--trust":
            trusted.append(value if equals else next(words, ""))
        else:
            rest.append(word)
    if not all(trusted):
        mistake("module after --trust", "", ["modules of yours, whose classes a checkpoint names"])
    return trusted, rest


def trust(module: str) -> None:
    """Import a module of the user's; one that is not there is a mistake of the command line."""
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in (module, module.partition(".")[0]):
            raise
        sys.stderr.write(f"{PROGRAM}: error: --trust: there is no module {module}\n")
        raise SystemExit(2) from error


def finish(text: str) -> NoReturn:
    """Write an answer and end."""
    sys.stdout.write(f"{text}\n")
    raise SystemExit(0)


def mistake(what: str, name: str, known: Iterable[str]) -> NoReturn:
    """Say that there is no such thing, and what is nearest."""
    known = list(known)
    matches = get_close_matches(name, known, 1)
    hint = f"did you mean {matches[0]}?" if matches else f"there are {', '.join(known)}"
    sys.stderr.write(f"{PROGRAM}: error: there is no {what}; {hint}\n")
    raise SystemExit(2)


def overview() -> str:
    """Every command with its line of help, groups with their members."""
    lines = [f"usage: {PROGRAM} COMMAND [options]", "", f"{ABOUT}.", ""]
    singles = {name: entry.summary for name, entry in COMMANDS.items() if " " not in name}
    lines += table(singles)
    for group, summary in GROUPS.items():
        lines += ["", f"{summary}: {PROGRAM} {group} ...", *members(group)]
    lines += ["", f"{PROGRAM} COMMAND --help explains the options of a command."]
    lines += ["--trust MODULE lets checkpoints name classes of a module of yours, in any command."]
    return "\n".join(lines)


def group_overview(group: str) -> str:
    """The members of a group with their lines of help."""
    usage = f"usage: {PROGRAM} {group} COMMAND [options]"
    return "\n".join([usage, "", f"{GROUPS[group]}.", "", *members(group)])


def members(group: str) -> list[str]:
    """A line of help for each command of a group."""
    names = {name.partition(" ")[2]: entry.summary for name, entry in COMMANDS.items()
             if name.startswith(f"{group} ")}  # fmt: skip
    return table(names)


def table(lines: dict[str, str]) -> list[str]:
    """Names and summaries in two columns."""
    return [f"  {name:<18}{summary}" for name, summary in lines.items()]


def load(target: str) -> Callable[..., Any]:
    """The function or class that ``module:name`` says, of this package."""
    module, _, name = target.partition(":")
    return getattr(import_module(f"rlvr_world.{module}"), name)


def import_rooms() -> None:
    """Import what configs may name by its short name; packages of extras need not be there."""
    for room in ROOMS:
        package = import_module(f"rlvr_world.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if WITHOUT_PLUGS.isdisjoint(module.name.split(".")):
                try:
                    import_module(module.name)
                except ModuleNotFoundError as error:
                    if (error.name or "").startswith("rlvr_world"):
                        raise


def console() -> None:
    """Run the command of this process; what it refuses or cannot do is said in one sentence."""
    try:
        main()
    except KeyboardInterrupt:
        sys.stderr.write(f"{PROGRAM}: stopped\n")
        sys.exit(130)
    except Exception as error:
        said = load("command_line.errors:sayable")(error)
        if said is None:
            raise
        sys.exit(f"{PROGRAM}: error: {said}")
