"""Mistakes on the command line and in configs, each answered by one sentence."""

import inspect
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import lightning
from jsonargparse import ArgumentParser

OPTION = re.compile(
    r"unrecognized arguments: --([^\s=]+)|(?:Group '(\S+)' )?does not accept option '(\S+)'"
)
ALONE = re.compile(r"unrecognized arguments: ([^\s-]\S*\.ya?ml)")
SCOPE = re.compile(r"given class_path '(\S+)':")
ARGUMENT = re.compile(r"given class_path '(\S+)':\s+Option '(\S+)' is not accepted")
OF_CALLABLE = re.compile(r"Option '(\S+)' is not accepted\. Got value: .*?class_path='(\S+?)'")
ABSTRACT = re.compile(r"Expected an instantiatable class, but \S*?(\w+) is abstract")
NOT_ACCEPTED = re.compile(r"Option '(\S+)' is not accepted")
CLASS = re.compile(r"Expected a dot import path string: (\w+)")
PACKAGE = Path(__file__).parents[1]
ORIGINS = (PACKAGE, Path(lightning.__file__).parent)
ACCELERATORS = ORIGINS[1] / "fabric" / "accelerators"
INSTALLED = (PACKAGE, *(Path(at) for at in sysconfig.get_paths().values()), Path(sys.prefix))
SAID = (ValueError, OSError, ModuleNotFoundError)
KEY = re.compile(r'Parser key "(\S+)":')
WORKER = re.compile(r"DataLoader worker \(pid.*?\) (?:is )?((?:killed|exited)[^.]*)")
IN_WORKER = re.compile(
    r"\ACaught \w+ in DataLoader worker process .*^[\w.]+Error: ", re.DOTALL | re.MULTILINE
)
FILE = re.compile(r'^  File "(.+?)", line', re.MULTILINE)
GIVEN = re.compile(r"^\s*Given value: (.*)$", re.MULTILINE)
NOISE = re.compile(
    r"|Does not validate against.*|Subtypes: .*|Errors:|Given value.*"
    r"|Problem with given class_path.*|Expected a <class 'NoneType'>.*|Expected a path but \{.*"
    r"|Subclass types expect .*|a class path \(str\).*|a dict with.*"
)


class Parser(ArgumentParser):
    """A parser without abbreviations, whose errors are one sentence with the nearest right name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False} | kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Write one sentence and exit with code 2."""
        if not self.exit_on_error:
            super().error(message, ex)
        parser = getattr(ex, "subcommand_parser", None) or self
        fail(sentence(message, option_names(parser)), parser.prog)


def fail(message: str, program: str = "rlvr-world") -> NoReturn:
    """Write an error to the terminal and exit with code 2."""
    sys.stderr.write(f"{program.replace(' [options]', '')}: error: {message}\n")
    raise SystemExit(2)


def nearest(name: str, names: Iterable[str]) -> str:
    """``; did you mean ...?`` with the most similar of some names; empty if none is similar."""
    matches = get_close_matches(name, list(names), 1)
    return f"; did you mean {matches[0]}?" if matches else ""


def sentence(message: str, options: Iterable[str]) -> str:
    """What is wrong, from a message of jsonargparse.

    Args:
        message: The message, of many lines where types are nested.
        options: The names of the options that the command has.
    """
    message = of_chosen_kinds(message)
    if match := ALONE.search(message):
        return f"{match[1]} stands alone; give configs after -c"
    if match := OPTION.search(message):
        name = match[1] or ".".join(filter(None, match.groups()))
        if classes := SCOPE.findall(message[: match.start()]):
            return no_argument(classes[-1], name)
        return f"there is no option {name}{nearest(name, options)}"
    if refused := ARGUMENT.findall(message):
        return no_argument(*refused[-1])
    if match := OF_CALLABLE.search(message):
        return no_argument(match[2], match[1])
    keys = ".".join(dict.fromkeys(KEY.findall(message)))
    if refused := NOT_ACCEPTED.findall(message):
        of_another_command = f"there is no option {refused[-1].partition('.')[0]}"
        return f"{keys}: there is no argument {refused[-1]}" if keys else of_another_command
    if (unknown := CLASS.findall(message)) and not unknown[-1][:1].isupper():
        return f"{keys}: cannot be {unknown[-1]}"
    if unknown := CLASS.findall(message):
        return f"{keys}: there is no class {unknown[-1]}{nearest(unknown[-1], class_names())}"
    if unfit := ABSTRACT.findall(message):
        return f"{keys}: give the class_path of a {unfit[-1]}"
    lines = (KEY.sub("", line).strip().removeprefix("- ") for line in message.splitlines())
    reason = "; ".join(dict.fromkeys(line for line in lines if not NOISE.fullmatch(line)))
    value = GIVEN.findall(message)
    is_short = value and len(value[-1]) < 80 and not value[-1].startswith("NestedArg")
    is_said = "Got value: " in reason
    given = f", got {value[-1]}" if is_short and not is_said else ""
    return f"{keys}: {reason}{given}" if keys else reason


def of_chosen_kinds(message: str) -> str:
    """A message without why a value of a class that it names is none of another kind, either."""
    lines = message.split("\n")
    depths = {len(line) - len(line.lstrip()) for line in lines if SCOPE.search(line)}
    kept = [
        line
        for line in lines
        if len(line) - len(line.lstrip()) not in depths
        or not (CLASS.search(line) or ABSTRACT.search(line))
    ]
    return "\n".join(kept)


def no_argument(class_path: str, name: str) -> str:
    """That a class takes no such argument, with the nearest one that it takes."""
    known = nearest(name, argument_names(class_path))
    return f"{class_path.rpartition('.')[2]} has no argument {name}{known}"


def sayable(error: BaseException) -> str | None:
    """What ends a command in a sentence: an error of this package, of Lightning or of the system.

    An error that a parser has wrapped counts, and one of a worker process; one that passes through
    code of the user's does not, whose traceback says more.
    """
    if isinstance(error, RuntimeError) and (ended := WORKER.match(str(error))):
        return (
            f"a data worker {ended[1].strip()}; where memory is short, lower data.num_workers; "
            "where /dev/shm is small, enlarge it (docker run --shm-size 8g) or set 0"
        )
    chain: BaseException | None = error
    while chain is not None:
        names = [frame.filename for frame in traceback.extract_tb(chain.__traceback__)]
        names += FILE.findall(worker_traceback(chain))
        frames = [Path(name) for name in names if not name.startswith("<frozen ")]
        is_ours = any(frames[-1].is_relative_to(at) for at in ORIGINS) if frames else False
        is_users = not all(any(f.is_relative_to(at) for at in INSTALLED) for f in frames)
        if isinstance(chain, SAID) and (is_ours or (isinstance(chain, OSError) and not is_users)):
            message = IN_WORKER.sub("", str(chain)).rstrip()
            return "; ".join([message, *getattr(chain, "__notes__", [])])
        in_devices = bool(frames) and frames[-1].is_relative_to(ACCELERATORS)
        is_said = isinstance(chain, TypeError) and in_devices
        if is_said or type(chain).__name__ == "MisconfigurationException":
            return str(chain).strip()
        chain = chain.__cause__ or chain.__context__
    return None


def worker_traceback(error: BaseException) -> str:
    """The traceback, as text, in the worker process that an error comes from; empty without one."""
    if type(error.__cause__).__name__ == "_RemoteTraceback":
        return str(error.__cause__)
    return str(error) if IN_WORKER.match(str(error)) else ""


def option_names(parser: ArgumentParser) -> Iterator[str]:
    """The options of a parser and of its subcommands."""
    for action in parser._actions:
        yield action.dest
        for inner in getattr(action, "_name_parser_map", {}).values():
            yield from option_names(inner)


def argument_names(class_path: str) -> Iterator[str]:
    """The arguments that a class and those above it take, and the fields of those with fields."""
    module, _, name = class_path.rpartition(".")
    component = getattr(import_module(module), name)
    for each in inspect.getmro(component) if inspect.isclass(component) else [component]:
        function = vars(each).get("__init__") if inspect.isclass(each) else each
        if function is not None:
            for parameter in inspect.signature(function).parameters.values():
                yield parameter.name
                if is_dataclass(kind := parameter.annotation):
                    yield from (f"{parameter.name}.{field.name}" for field in fields(kind))


def class_names() -> Iterator[str]:
    """The classes of this package and of Lightning that are imported."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in {"rlvr_world", "lightning"}:
            yield from (key for key, value in vars(module).items() if isinstance(value, type))
