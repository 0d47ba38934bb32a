"""Files and folders that are whole or not there, and know what they were made with."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

JSON_BYTES = 1 << 28
"""The largest JSON file that is read."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file or folder beside ``path`` that takes its place at the end, and vanishes on an error.

    Args:
        path: Where the result goes; a file there is replaced, a folder must be empty. Folders above
            it are made.
    """
    unfinished = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    delete(unfinished)
    try:
        yield unfinished
        if unfinished.is_file():
            sync(unfinished)
        os.replace(unfinished, path)
    except BaseException:
        delete(unfinished)
        raise


def sync(path: Path) -> None:
    """Wait until the bytes of a file are on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def delete(path: Path) -> None:
    """Delete a file, or a folder with all that it holds, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def locked(path: Path) -> int:
    """The descriptor of a file that no other process can lock until this one closes it or ends.

    Data workers do not inherit the lock. Where the system has no such locks there is none.

    Raises:
        BlockingIOError: Another process has it.
        OSError: The file cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        import fcntl

        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ModuleNotFoundError:
        pass
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            os.close(descriptor)
            raise BlockingIOError(f"{path} is locked by another process") from error
    return descriptor


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with whole(path) as unfinished:
        unfinished.write_text(text)


def write_json(path: Path, value: Any) -> None:
    """Write plain data as JSON, whole or not at all.

    Raises:
        ValueError: It holds NaN or an infinite number.
    """
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The plain data in a JSON file, whoever wrote it.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no JSON in UTF-8, is nested too deeply, or larger than ``JSON_BYTES``.
    """
    if path.stat().st_size > JSON_BYTES:
        raise ValueError(f"{path} is larger than {JSON_BYTES >> 20} MiB, too large for a JSON file")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON that can be read: {error}") from error


def sha256(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def claim(folder: Path, settings: Mapping[str, Any]) -> None:
    """Note in ``settings.json`` what a folder is made with, or compare it with what is noted there.

    Raises:
        ValueError: The folder was made with other settings, or holds other files.
    """
    path, wanted = folder / "settings.json", json.loads(json.dumps(settings, default=str))
    if not path.exists():
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            raise ValueError(
                f"{folder} holds files but no settings.json: use another folder, or move this one "
                "away"
            )
        write_json(path, wanted)
    check_settings(folder, read_json(path), wanted)


def check_settings(folder: Path, there: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` with the first setting that a folder was made with and is not wanted."""
    for key in (*wanted, *there):
        if wanted.get(key) != there.get(key):
            raise ValueError(
                f"{folder} was made with {key} {there.get(key)}, not {wanted.get(key)}: "
                "use another folder, or move this one away"
            )
