"""What a sample is: plain files in a tar that share a key; how it is written, read and skipped."""

import io
import json
import posixpath
import re
import tarfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from rlvr_world.files import whole

Sample = tuple[str, Mapping[str, Any]]
"""A key, and the sample's arrays and JSON by file extension, ``{"actions.npy": array}``."""

RawSample = dict[str, Any]
"""File contents by extension, ``__key__`` and ``__url__``, and ``BAD`` if it cannot be used."""

BAD = "__bad__"
JPEG_QUALITY = 95  # of frames that come as arrays
MAX_FILE = 2**30  # bytes of a file in a shard
MAX_NAME = 1000  # characters of its name
MAX_REASONS = 10_000  # that are named
PACKED = {
    "gzip": b"\x1f\x8b",
    "bzip2": b"BZh91AY&SY",
    "xz": b"\xfd7zXZ\0",
    "zstd": b"\x28\xb5\x2f\xfd",
}
"""How files begin that were packed by which program."""
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
OURS = re.compile(
    r"(?P<key>.+?)\.(?P<extension>json|[a-z_]+\.(?:npy|png)|frames\.\d+\.jpg)", re.IGNORECASE
)
ANY = re.compile(r"(?P<key>(?:.*/)?[^./]+)\.(?P<extension>[^/]+)")


class BadSample(ValueError):
    """A sample, or a whole shard, that cannot be used; its text names the shard and the key."""


def write_shard(path: str | Path, samples: Iterable[Sample]) -> None:
    """Write samples to a tar: whole or not at all, and the same bytes for the same samples.

    Args:
        path: The tar to write. It is replaced if it exists.
        samples: Keys and members; the end of an extension says how to encode, see ``encode``.
    """
    with (
        whole(Path(path)) as unfinished,
        tarfile.open(unfinished, "w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for key, members in samples:
            for extension, value in members.items():
                data = encode(extension, value)
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


def read_members(
    path: Path, only: Collection[str] | None = None, url: str | None = None
) -> Iterator[RawSample]:
    """The raw samples of a shard: neighbouring files that share a key.

    A sample of which a file cannot be read, has a name that it must not have, or is there twice,
    holds ``BAD``, the reason. What follows a broken header or file is looked for and read.

    Args:
        path: The shard, an uncompressed tar of any program; its folders become parts of the keys.
        only: The extensions of the files that are read; all if not given.
        url: The shard's name in messages; its path if not given.

    Raises:
        OSError: The file cannot be read.
    """
    sample: RawSample = {}
    with path.open("rb") as file:
        size = path.stat().st_size
        head = file.read(10)
        for program, start in PACKED.items():
            if head.startswith(start):
                raise OSError(f"it is packed by {program}; unpack it, shards are plain tars")
        for member in _members(file, size):
            name, problem = _plain(member.name)
            key, extension = _key(name)
            if not member.isreg() or not key:
                continue
            if sample and sample["__key__"] != key:
                yield sample
                sample = {}
            sample |= {"__key__": key, "__url__": url or str(path)}
            if extension in sample:
                problem = f"{extension} is there twice"
            elif only is None or extension in only:
                problem = problem or _size_problem(member, size)
                file.seek(member.offset_data)
                sample[extension] = b"" if problem else file.read(member.size)
            if problem:
                sample.setdefault(BAD, problem)
    if sample:
        yield sample


def _members(file: BinaryIO, size: int) -> Iterator[tarfile.TarInfo]:
    """The members of a tar, each of which begins after the one before, in spite of broken ones."""
    tar: Any = None
    offset = 0
    while offset < size:
        try:
            file.seek(offset)
            if tar is None:
                tar = tarfile.TarFile(fileobj=file, ignore_zeros=True)
                tar.firstmember = None
                file.seek(offset)
            tar.offset = offset
            member = tar.next()
        except OSError:
            raise
        except Exception:  # a broken header makes tarfile raise whatever the bytes lead to
            offset += tarfile.BLOCKSIZE
            continue
        if member is None:
            return
        tar.members.clear()
        sound = offset < member.offset_data and _size_problem(member, size) is None
        offset = max(tar.offset if sound else member.offset_data, offset + tarfile.BLOCKSIZE)
        yield member


def _size_problem(member: tarfile.TarInfo, size: int) -> str | None:
    """Why the file of a member cannot be read, or None."""
    if member.issparse() or not 0 <= member.size <= MAX_FILE:
        return f"{member.name[:200]} claims {member.size} bytes, {MAX_FILE} at most"
    if member.offset_data + member.size > size:
        return f"{member.name[:200]} is cut"
    return None


def _plain(name: str) -> tuple[str, str | None]:
    """A member's name without what no name must hold, and what that is."""
    plain = UNPRINTABLE.sub("", name[:MAX_NAME])
    problem = None
    if name.startswith("/") or ".." in name.split("/"):
        problem = "it leaves the folder"
    elif plain != name:
        problem = f"it is longer than {MAX_NAME} characters or holds some that are not text"
    inside = posixpath.normpath(f"/{plain}").lstrip("/")
    return inside, problem and f"the name {name[:200]!a} is refused: {problem}"


def _key(name: str) -> tuple[str, str]:
    """The key and the extension of a file; empty where it belongs to no sample.

    The key may have dots where the extension is one that we write; elsewhere the extension begins
    at the first dot of the file's name.
    """
    file = name.rsplit("/", 1)[-1]
    match = None if file.startswith((".", "__")) else (OURS.fullmatch(name) or ANY.fullmatch(name))
    return (match["key"], match["extension"].lower()) if match else ("", "")


def encode(extension: str, value: Any) -> bytes:
    """The bytes of one file of a sample.

    Args:
        extension: Ends in ``png``, ``jpg``, ``npy`` or ``json``.
        value: uint8 frames [T, H, W, 3] for ``png``, one frame [H, W, 3] or a whole JPEG file as
            bytes for ``jpg``, an array for ``npy``, plain data for ``json``.
    """
    buffer = io.BytesIO()
    kind = extension.rsplit(".", 1)[-1]
    if kind == "png":
        _, _, width, channels = value.shape
        Image.fromarray(value.reshape(-1, width, channels)).save(buffer, "PNG")
    elif kind == "jpg":
        if isinstance(value, bytes):
            return value
        Image.fromarray(value).save(buffer, "JPEG", quality=JPEG_QUALITY)
    elif kind == "npy":
        np.save(buffer, value, allow_pickle=False)
    elif kind == "json":
        return json.dumps(value, sort_keys=True).encode()
    else:
        raise ValueError(f"{extension}: a sample holds png, jpg, npy and json files only")
    return buffer.getvalue()


class Read(NamedTuple):
    """Samples that were read and, if they had to be skipped, why; and examples left out of them."""

    samples: int
    reason: str | None = None
    left_out: int = 0


@dataclass
class Skips:
    """Counts samples that were read and those of them that had to be skipped.

    Args:
        what: The data, as messages name it.
        total: Samples in one pass over the data.
        max_share: The largest share of samples that may be skipped.
        read: Samples that were read.
        skipped: Those of them that had to be skipped.
        reasons: How many of them for which reason, which names the shard and the key.
        left_out: Examples of sound samples that are too long for the codec.
    """

    what: str
    total: int
    max_share: float
    read: int = 0
    skipped: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    left_out: int = 0

    @property
    def too_many(self) -> bool:
        """Whether more were skipped than may be, of a whole pass or of what was read so far."""
        return self.skipped > self.max_share * max(self.read, self.total)

    def fresh(self) -> "Skips":
        """The same with nothing read."""
        return replace(self, read=0, skipped=0, reasons={}, left_out=0)

    def add(self, read: Read) -> bool:
        """Count samples by the reason to skip them; returns whether the reason is a new one."""
        self.read += read.samples
        self.left_out += read.left_out
        if read.reason is None:
            return False
        self.skipped += read.samples
        new = read.reason not in self.reasons and len(self.reasons) < MAX_REASONS
        if new or read.reason in self.reasons:
            self.reasons[read.reason] = self.reasons.get(read.reason, 0) + read.samples
        return new

    def __str__(self) -> str:
        reasons = "; ".join(islice(self.reasons, 5))
        if len(self.reasons) > 5:
            reasons += f"; and {len(self.reasons) - 5} more, which the log names"
        return f"{self.what}: {self.skipped} of {self.read} samples had to be skipped: {reasons}"
