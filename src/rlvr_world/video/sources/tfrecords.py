"""The framing of TFRecord files, whose checksums public readers without TensorFlow do not check.

A record is its length (8 bytes), the masked CRC-32C of the length (4), the payload, and the masked
CRC-32C of the payload (4), little-endian.
"""

import struct
from pathlib import Path
from typing import NamedTuple

from rlvr_world.extras import require
from rlvr_world.video.sources.episodes import BadEpisode

HEAD = struct.Struct("<QI")
TAIL = struct.Struct("<I")
MASK = 0xA282EAD8


class Records(NamedTuple):
    """Where the records of a file start, and why it could not be read to its end, if so."""

    offsets: list[int]
    problem: str | None


class BadRecord(BadEpisode):
    """A record that is cut short or whose checksum is wrong."""


def masked_crc(data: bytes) -> int:
    """The checksum of TFRecords: a rotated CRC-32C plus a constant."""
    crc = require("crc32c", "rlds", "Reading TFRecords").crc32c(data)
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF


def find_records(path: Path) -> Records:
    """The records of a file, from their heads alone."""
    offsets: list[int] = []
    offset, size = 0, path.stat().st_size
    with path.open("rb") as file:
        while offset < size:
            file.seek(offset)
            try:
                length = payload_length(file.read(HEAD.size), size - offset)
            except BadRecord as error:
                return Records(offsets, f"{path.name}, record {len(offsets)}: {error}")
            offsets.append(offset)
            offset += HEAD.size + length + TAIL.size
    return Records(offsets, None)


def read_record(path: Path, offset: int) -> bytes:
    """The payload of the record that starts at an offset."""
    with path.open("rb") as file:
        file.seek(offset)
        length = payload_length(file.read(HEAD.size), path.stat().st_size - offset)
        payload = file.read(length)
        if TAIL.unpack(file.read(TAIL.size))[0] != masked_crc(payload):
            raise BadRecord("its checksum is wrong")
    return payload


def payload_length(head: bytes, left: int) -> int:
    """The length of a payload, from the head of its record and the bytes left in the file."""
    if left < HEAD.size + TAIL.size:
        raise BadRecord("the file is cut here")
    length, crc = HEAD.unpack(head)
    if crc != masked_crc(head[:8]):
        raise BadRecord("the checksum of its length is wrong, so the rest of the file is lost")
    if left < HEAD.size + length + TAIL.size:
        raise BadRecord("the file is cut here")
    return length
