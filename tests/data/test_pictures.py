"""Pictures of any mode as uint8 RGB: what 16 bits, alpha, gray, palettes and 1 bit become."""

import io

import numpy as np
import pytest
from hostile import chunk
from PIL import Image

from rlvr_world.data.decode import read_picture


def saved(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(image, **options):
    return read_picture(saved(image, **options)).tolist()


def test_gray_of_16_bits_is_divided_by_257():
    values = np.array([[0, 128, 129, 257, 25_700, 32_767, 65_406, 65_407, 65_535]], np.uint16)
    gray = [0, 0, 1, 1, 100, 127, 254, 255, 255]
    assert decoded(Image.fromarray(values)) == [[[value] * 3 for value in gray]]


@pytest.mark.parametrize(("colour", "channels", "expected"), [
    (2, (0xFFFF, 0x6464, 0x00FF), [255, 100, 0]),
    (6, (0xFFFF, 0x6464, 0x0000, 0xFFFF), [255, 100, 0]),
    (6, (0xFFFF, 0x6464, 0x0000, 0x0000), [255, 255, 255]),
    (4, (0x6464, 0xFFFF), [100, 100, 100]),
])  # fmt: skip
def test_colours_of_16_bits_keep_the_upper_8(colour, channels, expected):
    import zlib

    pixels = b"\0" + b"".join(value.to_bytes(2, "big") for value in channels)
    head = (1).to_bytes(4, "big") * 2 + bytes([16, colour, 0, 0, 0])
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")
    content = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
    assert read_picture(content).tolist() == [[expected]]


def test_what_is_transparent_is_laid_on_white():
    pixels = np.array([[[9, 90, 200, 255], [9, 90, 200, 0], [0, 90, 200, 51]]], np.uint8)
    assert decoded(Image.fromarray(pixels)) == [[[9, 90, 200], [255, 255, 255], [204, 222, 244]]]
    gray = np.array([[[100, 255], [100, 0]]], np.uint8)
    assert decoded(Image.fromarray(gray)) == [[[100] * 3, [255] * 3]]


def test_palettes_gray_and_one_bit():
    palette = Image.new("P", (3, 1))
    palette.putpalette([1, 2, 3, 40, 50, 60, 7, 8, 9])
    palette.putdata([1, 0, 2])
    assert decoded(palette) == [[[40, 50, 60], [1, 2, 3], [7, 8, 9]]]
    assert decoded(palette, transparency=0) == [[[40, 50, 60], [255, 255, 255], [7, 8, 9]]]
    assert decoded(Image.fromarray(np.array([[7, 8]], np.uint8))) == [[[7] * 3, [8] * 3]]
    assert decoded(Image.fromarray(np.array([[True, False]]))) == [[[255] * 3, [0] * 3]]


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_jpegs_of_all_modes_become_rgb(mode):
    picture = Image.new("RGB", (8, 8), (120, 120, 120)).convert(mode)
    assert abs(read_picture(saved(picture, "JPEG")).astype(int) - 120).max() <= 2


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "GIF", "WEBP", "EPS"])
def test_other_formats_are_refused(kind):
    with pytest.raises(ValueError, match=r"the picture is broken \(it is neither PNG nor JPEG"):
        read_picture(saved(Image.new("RGB", (4, 4)), kind))


def test_the_limit_counts_before_decoding():
    with pytest.raises(ValueError, match="it has 5 x 4 pixels, 19 at most"):
        read_picture(saved(Image.new("RGB", (4, 5))), limit=19)
    assert read_picture(saved(Image.new("RGB", (4, 5))), limit=20).shape == (5, 4, 3)
