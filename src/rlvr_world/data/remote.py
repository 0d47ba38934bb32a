"""Folders of shards behind a URL, whose files come into a folder here before they are read."""

import hashlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

from webdataset.cache import LRUCleanup

from rlvr_world.files import sha256, sync

TRIES = 4
WAIT = 1.0
"""Seconds before the second try; twice as many before each further one."""
STALL = 30.0
"""Seconds that a server may say nothing."""
LIMIT = 600.0
"""Seconds that one try may take."""
FINAL = (400, 401, 403, 404, 410)
"""Answers of a server that another try would not change."""
PIPES = "RLVR_WORLD_PIPES"
"""Set to 1 in the environment, it allows ``pipe:`` commands; no config or checkpoint can do so."""


class Origin(NamedTuple):
    """Where a file comes from, and the SHA-256 that it must have, if that is known."""

    url: str
    sha256: str = ""
    limit: int | None = None
    """Bytes of the files in the folder that it comes into, before those that were longest unread
    make room for it."""

    def bring(self, path: Path) -> None:
        """Download the file unless it is there; either way it is the one that was read last.

        Raises:
            OSError: It cannot be had, or is another file than the manifest says.
        """
        try:
            os.utime(path)
        except FileNotFoundError:
            self.download(path)

    def download(self, path: Path) -> None:
        """Fetch the file, whole or not at all, in several tries; other processes may do the same.

        Raises:
            OSError: It cannot be had, or is another file than the manifest says.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.limit is not None:
            LRUCleanup(path.parent, self.limit, last_read, interval=None).cleanup()
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        problem: Exception | None = None
        for number in range(TRIES):
            if number:
                time.sleep(WAIT * 2 ** (number - 1))
            try:
                fetch(self.url, part)
                if self.sha256 and sha256(part) != self.sha256:
                    raise OSError("its SHA-256 is not the one in the manifest")
                sync(part)
                os.replace(part, path)
                return
            except (OSError, HTTPException, subprocess.SubprocessError) as error:
                problem = error
                if isinstance(error, HTTPError) and error.code in FINAL:
                    break
            finally:
                part.unlink(missing_ok=True)
        raise OSError(f"{self.url} cannot be downloaded ({problem})") from problem


def last_read(file: str) -> float:
    """When a shard was opened last; files that are no shards count as newest."""
    return os.path.getmtime(file) if file.endswith(".tar") else float("inf")


def is_url(root: str | Path) -> bool:
    """Whether a folder of shards is behind a URL or a ``pipe:``."""
    return "://" in str(root) or str(root).startswith("pipe:")


def url_of(root: str, name: str) -> str:
    """The URL of a file in a folder; in a ``pipe:`` command, ``{name}`` stands for the file.

    Raises:
        ValueError: It is a command without ``{name}``.
    """
    if root.startswith("pipe:"):
        if "{name}" not in root:
            raise ValueError(f"{root} must hold {{name}} where the name of a file goes")
        return root.replace("{name}", shlex.quote(name))
    parts = urlsplit(root)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{quote(name)}").geturl()


def mirror(root: str, cache: str | Path | None) -> Path:
    """The folder here for the files of a folder behind a URL.

    Args:
        root: The URL.
        cache: The folder of all such folders; ``$RLVR_WORLD_CACHE``, or ``~/.cache/rlvr-world``, if
            not given.
    """
    cache = cache or os.environ.get("RLVR_WORLD_CACHE") or "~/.cache/rlvr-world"
    digest = hashlib.sha256(root.encode()).hexdigest()[:12]
    return Path(cache).expanduser() / f"{quote(root, safe='')[-80:]}-{digest}"


def local(file: str | Path) -> Path:
    """A file here, or the present version of one behind a URL, which is downloaded.

    Raises:
        OSError: It cannot be downloaded.
    """
    if not is_url(file):
        return Path(file)
    folder, _, name = str(file).rpartition("/")
    path = mirror(folder, None) / name
    Origin(str(file)).download(path)
    return path


def fetch(url: str, path: Path) -> None:
    """Copy what is behind a URL into a file, within ``LIMIT`` seconds.

    Raises:
        OSError: That cannot be done.
    """
    end = time.monotonic() + LIMIT
    if url.startswith("pipe:"):
        run(url.removeprefix("pipe:"), path)
        return
    with opened(url) as source, path.open("wb") as file:
        read = getattr(source, "read1", source.read)
        while data := read(2**20):
            file.write(data)
            if time.monotonic() > end:
                raise TimeoutError(f"it takes longer than {LIMIT:g} seconds")
        if isinstance(source, HTTPResponse) and source.length:
            raise OSError(f"the connection was cut {source.length} bytes before the end")


@contextmanager
def opened(url: str) -> Iterator[BinaryIO]:
    """The bytes behind a URL: http and https by Python itself, all else by fsspec."""
    if urlsplit(url).scheme in ("http", "https"):
        with urlopen(url, timeout=STALL) as response:
            yield response
        return
    import fsspec

    try:
        with fsspec.open(url, "rb") as file:
            yield file
    except (ImportError, ValueError) as error:
        raise OSError(f"fsspec cannot open it: {error}") from error


def run(command: str, path: Path) -> None:
    """Write what a shell command prints into a file.

    Raises:
        OSError: It fails, takes too long, or such commands are not allowed.
    """
    if os.environ.get(PIPES) != "1":
        raise OSError(f"a pipe: runs a shell command, which needs {PIPES}=1 in the environment")
    with path.open("wb") as file:
        process = subprocess.Popen(command, shell=True, stdout=file, start_new_session=True)
        try:
            if process.wait(LIMIT):
                raise OSError(f"the command ends with {process.returncode}")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
