"""Packages that only some features need."""

from collections.abc import Iterator
from importlib import import_module, metadata
from types import ModuleType

from packaging.requirements import Requirement


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """A module of an optional package.

    Args:
        module: Its name, as in ``import``.
        extra: The extra of this package that installs it.
        purpose: What needs it, for the error message: ``Meta-World``, ``Plots`` ...

    Raises:
        ModuleNotFoundError: It is not installed; the text names all packages of the extra that are
            not, and says how to install them.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        *others, last = list(missing(extra)) or [error.name or module]
        names = f"s {', '.join(others)} and {last}" if others else f" {last}"
        raise ModuleNotFoundError(
            f"{purpose} needs the package{names}: pip install 'rlvr-world[{extra}]'",
            name=error.name,
        ) from error


def missing(extra: str) -> Iterator[str]:
    """The packages of an extra that are not installed; none if this package is not, either."""
    try:
        lines = metadata.requires("rlvr-world") or []
    except metadata.PackageNotFoundError:
        return
    for line in lines:
        needed = Requirement(line)
        marker = needed.marker
        if marker and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""}):
            try:
                metadata.distribution(needed.name)
            except metadata.PackageNotFoundError:
                yield needed.name
