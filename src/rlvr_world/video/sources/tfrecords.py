"""The framing of TFRecord files, gzipped or not.

Public readers without TensorFlow do not check its checksums.

A record is its length (8 bytes), the masked CRC-32C of the length (4), the payload, and the masked
CRC-32C of the payload (4), little-endian.
"""

import gzip
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from rlvr_world.extras import require
from rlvr_world.video.sources.episodes import BadEpisode

HEAD = struct.Struct("<QI")
TAIL = struct.Struct("<I")
MASK = 0xA282EAD8
GZIP = b"\x1f\x8b"
MAX_UNZIPPED = 1032  # bytes that one byte of a gzipped file can stand for


class Records(NamedTuple):
    """Where the records of a file start, and why it could not be read to its end, if so."""

    offsets: list[int]
    problem: str | None


class BadRecord(BadEpisode):
    """A record that is cut short or whose checksum is wrong."""


BROKEN = (BadRecord, OSError, EOFError, zlib.error)


def masked_crc(data: bytes) -> int:
    """The checksum of TFRecords: a rotated CRC-32C plus a constant."""
    crc = require("crc32c", "rlds", "Reading TFRecords").crc32c(data)
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF


def find_records(path: Path) -> Records:
    """The records of a file, from their heads alone; a gzipped file is read to its end."""
    offsets: list[int] = []
    offset = 0
    with opened(path) as (file, size):
        while offset < size:
            try:
                file.seek(offset)
                head = file.read(HEAD.size)
                if not head:
                    break
                end = offset + HEAD.size + payload_length(head, size - offset) + TAIL.size
                file.seek(end - 1)
                if not file.read(1):
                    raise BadRecord("the file is cut here")
            except BROKEN as error:
                reason = error if isinstance(error, BadRecord) else "the file is cut here"
                return Records(offsets, f"{path.name}, record {len(offsets)}: {reason}")
            offsets.append(offset)
            offset = end
    return Records(offsets, None)


def read_record(path: Path, offset: int) -> bytes:
    """The payload of the record that starts at an offset."""
    try:
        with opened(path) as (file, size):
            file.seek(offset)
            payload = file.read(payload_length(file.read(HEAD.size), size - offset))
            tail = file.read(TAIL.size)
    except BROKEN as error:
        raise BadRecord(f"it cannot be read ({error})") from error
    if len(tail) < TAIL.size or TAIL.unpack(tail)[0] != masked_crc(payload):
        raise BadRecord("its checksum is wrong")
    return payload


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The bytes of a file, decompressed if it is gzipped, and how many they may be at most."""
    with path.open("rb") as file:
        if file.read(2) != GZIP:
            yield file, path.stat().st_size
            return
    state = path.stat()
    yield unzipped(path, state.st_mtime_ns, state.st_size), MAX_UNZIPPED * max(state.st_size, 1)


@lru_cache(maxsize=2)
def unzipped(path: Path, modified: int, size: int) -> BinaryIO:
    """A gzipped file, which stays open: to seek in it is to decompress all that lies between."""
    return cast(BinaryIO, gzip.open(path))


def payload_length(head: bytes, left: int) -> int:
    """The length of a payload, from the head of its record and the bytes left in the file."""
    if left < HEAD.size + TAIL.size or len(head) < HEAD.size:
        raise BadRecord("the file is cut here")
    length, crc = HEAD.unpack(head)
    if crc != masked_crc(head[:8]):
        raise BadRecord("the checksum of its length is wrong, so the rest of the file is lost")
    if left < HEAD.size + length + TAIL.size:
        raise BadRecord("the file is cut here")
    return length
