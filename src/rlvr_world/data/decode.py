"""Decoders for files that anybody may have made: bounded before they decode, plain in what fails.

They raise ``ValueError`` with what is wrong, whatever the library beneath them raises.
"""

import io
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

MAX_JSON = 2**24
"""Bytes of a JSON file of a sample, at most."""

MAX_PIXELS = 2**27
"""Pixels of a picture, at most: 134 million, such as 1,600 frames of 256 x 320 in one strip."""

WHITE = (255, 255, 255, 255)


def parse_json(content: bytes, limit: int = MAX_JSON) -> Any:
    """The value in a JSON file, whose numbers are finite and whose text can be written as UTF-8.

    Args:
        content: The file.
        limit: Bytes, at most.
    """
    if len(content) > limit:
        raise ValueError(f"the JSON has {len(content)} bytes, more than {limit}")
    with _named("the JSON is broken"):
        text = content.decode("utf-8-sig")
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode()
    return value


def read_array(content: bytes, kinds: str = "fiu") -> NDArray[Any]:
    """The array in an NPY file, whose header says as many values as the file holds.

    Args:
        content: The file.
        kinds: The kinds of values that it may have, as NumPy abbreviates them.
    """
    with _named("the array is broken"):
        file = io.BytesIO(content)
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
        claimed, held = math.prod(shape) * dtype.itemsize, len(content) - file.tell()
        if dtype.kind not in kinds:
            raise ValueError(f"its values are {dtype}, not numbers")
        if min(shape, default=0) < 0 or claimed != held:
            raise ValueError(f"its header claims {dtype} {shape}, but {held} bytes follow")
        return np.load(io.BytesIO(content), allow_pickle=False)


def read_picture(content: bytes, limit: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """The pixels [H, W, 3] of a PNG or JPEG file.

    Gray, 1-bit, palette and CMYK pictures become RGB. What is transparent is laid on white. Gray
    values of 16 bits are divided by 257 and rounded, so that 65535 becomes 255; of colours of 16
    bits the upper 8 are kept.

    Args:
        content: The file.
        limit: Pixels, at most; the header is looked at before anything is decoded.
    """
    picture = open_picture(content, limit)
    with _named("the picture is broken"):
        if picture.mode.startswith("I"):
            values = np.asarray(picture, np.uint32)
            gray = ((values + 128) // 257).astype(np.uint8)
            return np.repeat(gray[..., None], 3, axis=-1)
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, WHITE), picture)
        return np.asarray(picture.convert("RGB"))


def open_picture(content: bytes, limit: int = MAX_PIXELS) -> Image.Image:
    """A PNG or JPEG file of which only the header is read."""
    with _named("the picture is broken"):
        picture = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
        if picture.width * picture.height > limit:
            raise ValueError(f"it has {picture.height} x {picture.width} pixels, {limit} at most")
    return picture


@contextmanager
def _named(problem: str) -> Iterator[None]:
    """Turn whatever a decoder raises on a broken file into a ``ValueError``."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise ValueError(f"{problem} (it is neither PNG nor JPEG)") from error
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ValueError(f"{problem} ({reason[:300]})") from error


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    return value if math.isfinite(value := float(text)) else _refuse(text)
