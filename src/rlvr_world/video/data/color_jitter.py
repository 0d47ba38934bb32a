"""Random changes of colours, the same for all frames of a clip."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

Change = Callable[[Image.Image], Image.Image]
ENHANCERS = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
}


@dataclass(frozen=True)
class ColorJitter:
    """Changes the colours of training clips at random, in random order, as the original does.

    Each clip draws its changes once, so that nothing flickers. Evaluation sees true colours.

    Args:
        brightness: Largest change of the factor on the brightness, which is 1 unchanged.
        contrast: Likewise of the contrast.
        saturation: Likewise of the saturation.
        hue: Largest rotation of the hue, as a share of the circle, at most 0.5.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        for name, largest in (*dict.fromkeys(ENHANCERS, 1.0).items(), ("hue", 0.5)):
            if not 0 <= getattr(self, name) <= largest:
                raise ValueError(f"jitter: {name} must be from 0 to {largest:g}")

    def __call__(self, frames: NDArray[np.uint8], rng: random.Random) -> NDArray[np.uint8]:
        """Frames [T, 3, H, W] with other colours."""
        changes: list[Change] = []
        for name, enhancer in ENHANCERS.items():
            factor = 1 + rng.uniform(-1, 1) * getattr(self, name)
            changes.append(partial(enhanced, enhancer=enhancer, factor=factor))
        turn = round(255 * rng.uniform(-1, 1) * self.hue)
        changes.append(partial(turned, turn=turn))
        rng.shuffle(changes)
        changed = []
        for frame in frames:
            image = Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0)))
            for change in changes:
                image = change(image)
            changed.append(np.asarray(image).transpose(2, 0, 1))
        return np.stack(changed)


def enhanced(image: Image.Image, enhancer: Any, factor: float) -> Image.Image:
    """An image of which one property has changed by a factor."""
    return enhancer(image).enhance(factor)


def turned(image: Image.Image, turn: int) -> Image.Image:
    """An image whose hues, of 256, are rotated."""
    if not turn:
        return image
    hue, saturation, value = image.convert("HSV").split()
    hue = hue.point([(level + turn) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")
