"""Samples as nobody should write them, of each room, and mutations of sound ones."""

import io
import tarfile
import zlib

import numpy as np
from PIL import Image


def write_tar(path, members, kind=tarfile.PAX_FORMAT):
    """A tar of names and bytes, whatever they are."""
    with tarfile.open(path, "w", format=kind) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def read_tar(path):
    """The names and the bytes of the members of a sound tar."""
    with tarfile.open(path) as tar:
        return [(member.name, tar.extractfile(member).read()) for member in tar]


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def picture(pixels, kind="PNG", mode=None):
    buffer = io.BytesIO()
    Image.fromarray(pixels, mode).save(buffer, kind)
    return buffer.getvalue()


def chunk(kind, content):
    check = zlib.crc32(kind + content)
    return len(content).to_bytes(4, "big") + kind + content + check.to_bytes(4, "big")


def huge_picture(side=16_000):
    """A PNG of few bytes that says it has ``side`` x ``side`` pixels."""
    size = side.to_bytes(4, "big") * 2
    head = chunk(b"IHDR", size + bytes([8, 2, 0, 0, 0]))
    return (
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    )


def claiming(values=10**12):
    """An NPY header that claims more values than the file holds."""
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({values}, 2), }}".encode()
    head += b" " * (117 - len(head)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(64)


DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
VIDEO = {
    "empty array": ("actions.npy", b"", "actions.npy: the array is broken"),
    "empty picture": ("frames.png", b"", "frames.png: the picture is broken"),
    "empty json": ("json", b"", "json: the JSON is broken"),
    "broken header": ("actions.npy", npy(np.zeros((8, 2)))[:40], "the array is broken"),
    "1e12 values": ("actions.npy", claiming(), r"claims float32 \(1000000000000, 2\), but"),
    "strings": ("actions.npy", npy(np.full((8, 2), "a")), "its values are <U1, not numbers"),
    "bools": ("actions.npy", npy(np.ones((8, 2), bool)), "its values are bool, not numbers"),
    "objects": ("actions.npy", npy(np.full((8, 2), None)), "its values are object, not numbers"),
    "NaN": ("actions.npy", npy(np.full((8, 2), np.nan)), "actions holds NaN"),
    "beyond float32": ("states.npy", npy(np.full((8, 5), 1e300)), "states holds NaN or infinite"),
    "zero length": ("actions.npy", npy(np.zeros((0, 2))), "has no time steps"),
    "no array": ("states.npy", npy(np.float32(1)), "states has no time steps"),
    "16,000 x 16,000": ("frames.png", huge_picture(), "exceeds limit of 178956970 pixels"),
    "12,000 x 12,000": ("frames.png", huge_picture(12_000), "x 12000 pixels, 134217728 at most"),
    "deep json": ("json", DEEP, r"the JSON is broken \(maximum recursion depth"),
    "huge json": ("json", b" " * 2**24 + b"{}", "the JSON has 16777218 bytes, more than 16777216"),
    "json of NaN": ("json", b'{"a": NaN}', "NaN is no number"),
    "json without object": ("json", b"[]", "json holds no object"),
    "no picture": ("frames.png", b"%!PS-Adobe-3.0 EPSF-3.0", "the picture is broken"),
}
"""Of a video sample, by kind: a file, what it holds, and how the skip names it."""

NAMES = {
    "../{}": "leaves the folder",
    "/{}": "leaves the folder",
    "a/../{}": "leaves the folder",
    "\0{}": "has no actions",
    "\n{}": "some that are not text",
    "{}": "actions.npy is there twice",
    "\udcff{}": "some that are not text",
}
"""What becomes of the name of a sample's ``actions.npy``, and how the skip names it."""


def mutated(content, rng):
    """The bytes with one to four random faults."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(content) + 1)
        end = min(len(content), start + rng.choice((1, 2, 8, 64, 1000)))
        match rng.randrange(6):
            case 0:
                content[start:end] = rng.randbytes(end - start)
            case 1:
                del content[start:end]
            case 2:
                content[start:start] = content[start:end] * rng.choice((1, 2, 50))
            case 3:
                del content[start:]
            case 4 if content:
                content[start % len(content)] ^= 1 << rng.randrange(8)
            case _:
                content[start:start] = rng.choice(WORDS)
    return bytes(content)


WORDS = (
    b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"NaN", b"-1e999", b"9" * 400, b"null", b'"', b"{}", b"[[",
    b"\\ud800", b"\\u0000", b"..", b"/", b"\x80\0\0\0\xff\xff\xff\xff", b"(1000000000000,)", b"|O",
    b"[1] ", b"\n\t",
)  # fmt: skip
