"""Clips for a person to judge, shuffled, and what they are in a file that the page never reads."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from rlvr_world.files import whole, write_json

ORIGIN = "origin.json"
LENGTH, MILLISECONDS = 8, 200


def save_clips(
    folder: Path,
    results: Mapping[str, Mapping[str, Any]],
    names: Sequence[str],
    count: int,
    seed: int,
) -> None:
    """Write the ends of some rollouts, as many of each row and task as of any other.

    Each is ``NNN.webp``, without a hint of where it comes from; ``origin.json`` says that, and what
    the row's judge said.

    Args:
        folder: Where they go.
        results: What was judged by row and task; rows without films have no clips.
        names: The policies, in order.
        count: How many clips.
        seed: Which ones.
    """
    rng = np.random.default_rng(seed)
    groups = []
    for row, by_task in results.items():
        for task, found in by_task.items():
            if found.film is None:
                continue
            said, starts = found.success.flatten(), found.success.shape[1]
            groups.append([
                (found.film.frames[each], {
                    "world": row, "task": task, "policy": names[int(each) // starts],
                    "success": bool(said[each]),
                })
                for each in rng.permutation(len(said))
            ])  # fmt: skip
    picked = [clip for turn in zip(*groups, strict=False) for clip in turn][:count]
    origin = {}
    for number, index in enumerate(rng.permutation(len(picked))):
        frames, about = picked[int(index)]
        name = f"{number:03d}.webp"
        with whole(folder / name) as path:
            path.write_bytes(animation(frames[-LENGTH:]))
        origin[name] = about
    write_json(folder / ORIGIN, origin)


def animation(frames: Tensor) -> bytes:
    """Frames uint8 [T, 3, H, W] as a WebP that goes round for ever."""
    pictures = [Image.fromarray(frame) for frame in frames.permute(0, 2, 3, 1).numpy()]
    file = io.BytesIO()
    pictures[0].save(
        file, "WEBP", save_all=True, append_images=pictures[1:], duration=MILLISECONDS,
        loop=0, lossless=True,
    )  # fmt: skip
    return file.getvalue()
