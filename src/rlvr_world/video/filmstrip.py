"""Pictures that show predicted clips beside the true ones."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

Pixels = NDArray[np.uint8]  # [H, W, 3]

GAP = 6  # pixels between neighbouring tiles
MARGIN = 16  # pixels around the picture and between clips
LINE = 15  # height of a line of text
PAPER, INK, FAINT = (246, 246, 244), (32, 32, 36), (120, 120, 126)


class Tile(NamedTuple):
    """One frame of a filmstrip, with a name and a note above it."""

    pixels: Pixels
    name: str = ""
    note: str = ""


Strip = tuple[Pixels, str]  # the predicted frames [F, H, W, 3] and a note
Lines = list[list[Tile | None]]


def draw_clips(
    frames: Tensor,
    target: Tensor,
    predictions: Mapping[str, Tensor],
    rows: Sequence[int],
    notes: Mapping[str, Sequence[str]] | None = None,
) -> Pixels:
    """The filmstrip of some clips of a batch, with the arguments of ``Codec.picture``.

    All frames are uint8 [B, T, 3, H, W]; the last F, [B, F, 3, H, W] in [0, 1], are predicted.
    """
    chosen = list(rows)
    return filmstrip(
        frames[chosen, : frames.shape[1] - target.shape[1]].cpu(),
        target[chosen].float().cpu(),
        {name: each[chosen].float().cpu() for name, each in predictions.items()},
        {name: [texts[row] for row in chosen] for name, texts in (notes or {}).items() if texts},
    )


def draw_motion(
    frames: Tensor, target: Tensor, predictions: Mapping[str, Tensor], rows: Sequence[int]
) -> Pixels:
    """The truth beside each prediction, in motion, [T, height, width, 3]; as in ``draw_clips``."""
    chosen = list(rows)
    given = to_pixels(frames[chosen, : frames.shape[1] - target.shape[1]].cpu())
    clips = {
        name: np.concatenate([given, to_pixels(each[chosen].float().cpu())], axis=1)
        for name, each in {"truth": target, **predictions}.items()
    }
    pictures = []
    for time in range(frames.shape[1]):
        lines: list[Lines] = [
            [[Tile(clip[row, time], name) for name, clip in clips.items()]]
            for row in range(len(chosen))
        ]
        pictures.append(draw(lines, tile_scale(given)))
    return np.stack(pictures)


def filmstrip(
    context: ArrayLike,
    truth: ArrayLike,
    predictions: Mapping[str, ArrayLike],
    notes: Mapping[str, Sequence[str]] | None = None,
    tile_size: int = 128,
) -> Pixels:
    """Draw clips: context, truth, predictions, and how far each prediction is from the truth.

    Where one frame is predicted, a clip is one line: its context, the truth, then each prediction
    with its error below. Where several are, time runs to the right, and each prediction is a line
    that goes on with its errors. Frames are uint8 or floats in [0, 1].

    Args:
        context: Given frames [N, C, 3, H, W].
        truth: True frames [N, F, 3, H, W].
        predictions: Predicted frames [N, F, 3, H, W] by name.
        notes: What to write beside the name of a prediction: N texts by name.
        tile_size: Height of a drawn frame in pixels at least; frames grow by whole factors.

    Returns:
        The picture, uint8 [height, width, 3].
    """
    given, true = to_pixels(context), to_pixels(truth)  # [N, T, H, W, 3]
    strips = {name: to_pixels(frames) for name, frames in predictions.items()}
    for name, frames in strips.items():
        if frames.shape != true.shape:
            raise ValueError(
                f"filmstrip: {name} has frames of shape {frames.shape}, the truth {true.shape}"
            )
    layout = single_step if true.shape[1] == 1 else multi_step
    clips = []
    for index in range(len(true)):
        tiles = {
            name: (frames[index], notes[name][index] if notes and name in notes else "")
            for name, frames in strips.items()
        }
        clips.append(layout(given[index], true[index], tiles))
    return draw(clips, tile_scale(true, tile_size))


def tile_scale(frames: Pixels, tile_size: int = 128) -> int:
    """The whole factor that brings frames [..., H, W, 3] to a height."""
    return max(1, -(-tile_size // frames.shape[-3]))


def to_pixels(frames: ArrayLike) -> Pixels:
    """Frames [N, T, 3, H, W], uint8 or floats in [0, 1], as uint8 [N, T, H, W, 3]."""
    moved = np.moveaxis(np.asarray(frames), -3, -1)
    if moved.dtype == np.uint8:
        return moved
    return np.rint(moved.astype(np.float64).clip(0, 1) * 255).astype(np.uint8)


def error_pixels(prediction: Pixels, truth: Pixels) -> Pixels:
    """The absolute difference, mean over colours: white is 0, red half the range, black all."""
    error = np.abs(prediction.astype(np.float64) - truth).mean(axis=-1) / 255
    ramp = np.array([(255, 255, 255), (214, 64, 40), (20, 0, 0)])
    colours = [np.interp(error, (0.0, 0.5, 1.0), channel) for channel in ramp.T]
    return np.rint(np.stack(colours, axis=-1)).astype(np.uint8)


def single_step(context: Pixels, truth: Pixels, predictions: Mapping[str, Strip]) -> Lines:
    """Context, truth and all predictions in one line, the errors below."""
    given = [*timeline(context, "context"), Tile(truth[0], "truth")]
    top = [Tile(frames[0], name, note) for name, (frames, note) in predictions.items()]
    errors = [Tile(error_pixels(tile.pixels, truth[0])) for tile in top]
    if errors:
        errors[0] = errors[0]._replace(name="error")
    return [[*given, *top], [*([None] * len(given)), *errors]]


def multi_step(context: Pixels, truth: Pixels, predictions: Mapping[str, Strip]) -> Lines:
    """Context and truth in the first line, then a line for each prediction and its errors."""
    blank: list[Tile | None] = [None] * len(context)
    lines: Lines = [[*timeline(context, "context"), *timeline(truth, "truth")]]
    for name, (frames, note) in predictions.items():
        errors = timeline(error_pixels(frames, truth), "error")
        lines.append([*blank, *timeline(frames, name, note), *errors])
    return lines


def timeline(frames: Pixels, name: str, note: str = "") -> list[Tile]:
    """Frames [T, H, W, 3] as tiles, of which the first is labelled."""
    tiles = [Tile(frame) for frame in frames]
    if tiles:
        tiles[0] = tiles[0]._replace(name=name, note=note)
    return tiles


def draw(clips: Sequence[Lines], scale: int) -> Pixels:
    """Draw clips below one another; a line is as high as its tiles and their labels."""
    sample = next(tile for line in clips[0] for tile in line if tile)
    height, width = (scale * side for side in sample.pixels.shape[:2])
    columns = max(len(line) for lines in clips for line in lines)
    depth = sum(MARGIN + sum(label_height(line) + height + GAP for line in clip) for clip in clips)
    image = Image.new("RGB", (2 * MARGIN + columns * (width + GAP) - GAP, MARGIN + depth), PAPER)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size=12)
    y = MARGIN
    for clip in clips:
        for line in clip:
            y += label_height(line)
            for column, tile in enumerate(line):
                if tile is None:
                    continue
                x = MARGIN + column * (width + GAP)
                size, label = (width, height), LINE * (bool(tile.name) + bool(tile.note))
                image.paste(
                    Image.fromarray(tile.pixels).resize(size, Image.Resampling.NEAREST), (x, y)
                )
                pen.text((x, y - label - 2), tile.name, INK, font)
                pen.text((x, y - LINE - 2), tile.note, FAINT, font)
            y += height + GAP
        y += MARGIN
    return np.asarray(image)


def label_height(line: Sequence[Tile | None]) -> int:
    """The height that the labels of a line need."""
    tiles = [tile for tile in line if tile]
    return LINE * sum((any(tile.name for tile in tiles), any(tile.note for tile in tiles)))
