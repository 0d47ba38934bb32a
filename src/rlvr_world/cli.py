"""Runs the commands of the table; what one needs is imported when it is asked for."""

import pkgutil
import sys
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from rlvr_world import __version__
from rlvr_world.command_line.commands import COMMANDS, GROUPS
from rlvr_world.command_line.configs import check_configs
from rlvr_world.runs import config_files, with_packaged_configs
from rlvr_world.torch_pair import check_torch_pair

PROGRAM = "rlvr-world"
ABOUT = "World models trained by likelihood, then by RL with verifiable rewards"

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
    "applications.policies",
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
