"""Runs a function, a recorder or an analysis with the options of the command line and YAML."""

import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ActionConfigFile, ArgumentParser, Namespace

from rlvr_world.command_line.configs import check_numbers
from rlvr_world.command_line.errors import Parser
from rlvr_world.runs import config_files, folder_of, run_of, with_artefacts

OF_RUNS = {"models", "agents", "tokenizer", "checkpoint"}
"""Arguments that may name a stage, so that the command has an option ``folder``."""

WRITING = {"models", "agents"}
"""Arguments of commands whose ``output`` is, if not given, a folder named like the config."""

REPEATED = "--overlay"
"""An option that adds to its list each time that it is given."""


def run_command(
    name: str,
    component: Callable[..., Any],
    args: Sequence[str],
    command: Callable[[Sequence[str]], None],
    positional: bool = False,
) -> None:
    """Call a function, or make an object of a class and let it run.

    A class has a method ``run_all`` or ``record``. An argument ``command`` is given the function
    that runs command lines, and is no option.

    Args:
        name: The command, for its help.
        component: The function or class, whose arguments become options.
        args: The options.
        command: Runs one command line of ``rlvr-world`` in this process.
        positional: Whether arguments without a default are given by position.
    """
    parser = Parser(prog=f"rlvr-world {name}", description=summary(component))
    parser.add_argument("-c", "--config", action=ActionConfigFile, help="A YAML file of options.")
    is_class = inspect.isclass(component)
    chains = hasattr(component, "run_all") or "command" in inspect.signature(component).parameters
    given = {"command": command} if chains else {}
    add = parser.add_class_arguments if is_class else parser.add_function_arguments
    add(component, as_group=False, as_positional=positional, sub_configs=True, skip=set(given))
    without_underscores(parser)
    names = {action.dest for action in parser._actions}
    of_runs = OF_RUNS & names and "folder" not in names
    args = [re.sub(f"^{REPEATED}(?==|$)", f"{REPEATED}+", arg) for arg in args]
    writes = bool(WRITING & names)
    options = parse_of_runs(parser, args, writes) if of_runs else parser.parse_args(args)
    check_numbers(options)
    settings = parser.instantiate(options).as_dict()
    settings.pop("config")
    result = component(**given, **settings)
    if is_class:
        (result.run_all if chains else result.record)()


def without_underscores(parser: ArgumentParser) -> None:
    """Let ``--from`` stand for the argument ``from_``, whose name alone is a word of Python."""
    for option, action in list(parser._option_string_actions.items()):
        if option.endswith("_"):
            action.option_strings = [option.rstrip("_")]
            parser._option_string_actions[option.rstrip("_")] = action
            del parser._option_string_actions[option]


def parse_of_runs(parser: ArgumentParser, args: Sequence[str], writes: bool) -> Namespace:
    """The options of a command on runs, with checkpoints in the place of bare stage names.

    Args:
        parser: The command's parser, which gets an option ``folder``.
        args: The options.
        writes: Whether ``output``, if not given, is a folder of the first config's name in there.
    """
    config = next(iter(config_files(args)), None)
    folder, name = folder_of(config), run_of(config) if config else ""
    text = "Where bare names are stages; the runs of the preset of the first config if not given."
    parser.add_argument("--folder", type=Path, default=folder, help=text)
    if writes:
        parser.set_defaults({"output": folder / name})
    options = parser.parse_args(list(args))
    chosen = options.pop("folder")
    if writes and options.output == folder / name:
        options.output = chosen / name
    return with_artefacts(options, chosen)


def summary(component: Callable[..., Any]) -> str:
    """What a docstring says before its arguments."""
    return (inspect.getdoc(component) or "").partition("\n\nArgs:")[0]
