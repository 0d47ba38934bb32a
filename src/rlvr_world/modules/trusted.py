"""What a checkpoint says of classes is data: only known ones are made, and nothing is imported."""

import inspect
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from torch import nn

PACKAGE = __name__.partition(".")[0]
RUNS_CODE = {"auto_map", "attn_implementation", "_attn_implementation", "quantization_config"}
"""Settings by which ``transformers`` may load code from elsewhere."""

DEPTHS = {"depth", "layers", "layers_per_block", "num_layers", "num_hidden_layers", "n_layer"}
"""Settings that say how many layers a network, or a part of it, has."""


def check_specification(spec: Any, base: type[nn.Module], what: str) -> None:
    """Hold a stored specification of an object to classes that may be made because a file says so.

    These are subclasses of ``base`` in this package, or in modules that the process has imported
    already: because a config of the user's names them, or a script or ``--trust`` imports them.
    Specifications within it are allowed as the arguments of such a class, where the class says what
    module it takes there.

    Args:
        spec: ``class_path`` and ``init_args``.
        base: What it has to be.
        what: The file and the key, for the error message.

    Raises:
        ValueError: It names anything else.
    """
    if not isinstance(spec, Mapping) or not isinstance(spec.get("class_path"), str):
        raise ValueError(f"{what}: must be a class_path with init_args")
    kind = trusted_class(spec["class_path"], base, what)
    arguments = spec.get("init_args") or {}
    if not isinstance(arguments, Mapping):
        raise ValueError(f"{what}: init_args must be names and values")
    for name, value in arguments.items():
        key = f"{what}: {kind.__name__}.{name}"
        if is_specification(value) and takes_module(kind, name):
            check_specification(value, nn.Module, key)
        else:
            check_plain(value, key)


def trusted_class(path: str, base: type[nn.Module], what: str) -> type[nn.Module]:
    """The class of that import path.

    Raises:
        ValueError: It is no such class, or its module is neither ours nor imported.
    """
    module, _, name = path.rpartition(".")
    if module.split(".")[0] == PACKAGE:
        try:
            found = getattr(import_module(module), name, None)
        except ModuleNotFoundError:
            found = None
    else:
        found = getattr(sys.modules.get(module), name, None)
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise ValueError(
            f"{what}: names the class {path}, which is no {base.__name__} that is imported; what a "
            f"file names is not imported for it: if you trust it, add `--trust {module or path}`"
        )
    return found


def is_specification(value: Any) -> bool:
    """Whether a parser would make an object of a value."""
    return isinstance(value, Mapping) and "class_path" in value


def takes_module(kind: type, name: str) -> bool:
    """Whether an argument of a class or of those above it is declared to be a module."""
    for each in inspect.getmro(kind):
        parameter = (
            inspect.signature(each).parameters.get(name) if "__init__" in vars(each) else None
        )
        if parameter is not None:
            options = getattr(parameter.annotation, "__args__", (parameter.annotation,))
            return any(inspect.isclass(o) and issubclass(o, nn.Module) for o in options)
    return False


def check_depth(settings: Any, tensors: int, what: str) -> None:
    """Raise ``ValueError`` if settings ask for over 100 layers, and more than there are tensors."""
    for key, value in settings.items() if isinstance(settings, Mapping) else ():
        if key in DEPTHS and isinstance(value, int | float) and value > max(tensors, 100):
            raise ValueError(f"{what}: {key} is {value}, but the file holds {tensors} tensors")
        check_depth(value, tensors, what)


def check_plain(value: Any, what: str) -> None:
    """Raise ``ValueError`` where data holds something that would be made, called or loaded."""
    if isinstance(value, list | tuple):
        for item in value:
            check_plain(item, what)
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "class_path":
                raise ValueError(f"{what}: is plain data and must not name the class {item}")
            if key in RUNS_CODE and item is not None and "/" in str(item):
                raise ValueError(f"{what}.{key}: must not name code that lies elsewhere: {item}")
            check_plain(item, f"{what}.{key}")
