"""What no config may be: too large, ambiguous, or with numbers that are none."""

import argparse
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rlvr_world.runs import config_files

CONFIG_BYTES, CONFIG_NODES = 1 << 20, 100_000
LEAST = {"accumulate_grad_batches": 1, "check_val_every_n_epoch": 1, "log_every_n_steps": 0,
         "gradient_clip_val": 0, "val_check_interval": 1e-9}  # fmt: skip
"""What arguments of Lightning's trainer must be at least, which it takes as they are."""
ENDINGS = (".yaml", ".yml")
MERGE = "tag:yaml.org,2002:merge"


def check_configs(args: Sequence[str]) -> None:
    """Check the configs of a command line: those after ``-c``, other YAML files, and their parts.

    Raises:
        ValueError: One of them is not as ``check_config`` asks.
    """
    files = config_files(args)
    seen: set[Path] = set()
    for file in files:
        check_config(file, seen)
    for arg in args:
        file = Path(arg.rpartition("=")[2])
        if arg.endswith(ENDINGS) and file not in files:
            check_config(file, seen, is_part=True)


def check_config(path: Path, seen: set[Path], is_part: bool = False) -> None:
    """Refuse a config that no one wrote by hand, or that says a thing twice.

    Args:
        path: The file; nothing is checked if there is none.
        seen: The files that are checked already, to which this one and those that it names come.
        is_part: Whether it is the value of a key, which need not be names and their values.

    Raises:
        ValueError: It is over 1 MiB, no UTF-8, nested too deeply, a few lines of it stand for very
            many, or a key is there twice.
    """
    if path in seen or not os.path.isfile(path):  # a text may be too long for a path
        return
    seen.add(path)
    if path.stat().st_size > CONFIG_BYTES:
        raise ValueError(f"{path} is larger than 1 MiB, too large for a config")
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        sizes: dict[int, float] = {}
        count = size_of(root, sizes)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8, so no config: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply for a config") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not (is_part or isinstance(root, yaml.MappingNode)):
        raise ValueError(f"{path} is no config, which holds names and their values")
    if count > CONFIG_NODES:
        raise ValueError(f"{path} refers to its own parts so often that it is too large to read")
    for node in nodes(root, set()):
        check_keys(node, path)
        if isinstance(node, yaml.ScalarNode) and node.value.endswith(ENDINGS):
            check_config(path.parent / node.value, seen, is_part=True)


def check_keys(node: Any, path: Path) -> None:
    """Raise ``ValueError`` if a YAML mapping has a key twice."""
    lines: dict[tuple[str, str], int] = {}
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE:
            continue
        line, name = key.start_mark.line + 1, (key.tag, key.value)
        if name in lines:
            first = lines[name]
            raise ValueError(f"{path}, line {line}: {key.value} is there already, in line {first}")
        lines[name] = line


def size_of(node: Any, sizes: dict[int, float]) -> float:
    """The number of values of a YAML node when its references are written out."""
    if id(node) not in sizes:
        sizes[id(node)] = float("inf")  # while it is counted: it may hold itself
        sizes[id(node)] = 1 + sum(size_of(part, sizes) for part in parts(node))
    return sizes[id(node)]


def nodes(node: Any, seen: set[int]) -> Iterator[Any]:
    """A YAML node and all in it, each once."""
    if id(node) not in seen:
        seen.add(id(node))
        yield node
        for part in parts(node):
            yield from nodes(part, seen)


def parts(node: Any) -> list[Any]:
    """The keys and values of a YAML mapping, or the items of a sequence."""
    inner = node.value if isinstance(node, yaml.CollectionNode) else ()
    return [part for each in inner for part in (each if isinstance(each, tuple) else (each,))]


def check_trainer(settings: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` if a number is too small for an argument of the trainer."""
    for name, least in LEAST.items():
        value = settings.get(name)
        if isinstance(value, int | float) and value < least:
            floor = f"at least {least}" if least in (0, 1) else "above 0"
            raise ValueError(f"trainer.{name} must be {floor}, got {value}")


def check_numbers(settings: Any, key: str = "") -> None:
    """Refuse numbers that are none: NaN and infinity mean nothing in any setting.

    Args:
        settings: Parsed settings: namespaces, dictionaries and lists in each other.
        key: The keys that lead to them.

    Raises:
        ValueError: There is one; the text names its key.
    """
    if isinstance(settings, float) and not math.isfinite(settings):
        raise ValueError(f"{key} must be a finite number, got {settings}")
    if isinstance(settings, argparse.Namespace):
        settings = vars(settings)
    if isinstance(settings, list | tuple):
        settings = dict(enumerate(settings))
    if isinstance(settings, Mapping):
        for name, value in settings.items():
            check_numbers(value, f"{key}.{name}" if key else str(name))
