"""Packages that only some features need."""

from importlib import import_module
from types import ModuleType


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """A module of an optional package.

    Args:
        module: Its name, as in ``import``.
        extra: The extra of this package that installs it.
        purpose: What needs it, for the error message: ``Meta-World``, ``Plots`` ...

    Raises:
        ModuleNotFoundError: It is not installed; the text says how to install it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{purpose} needs the package {error.name}: pip install 'rlvr-world[{extra}]'",
            name=error.name,
        ) from error
