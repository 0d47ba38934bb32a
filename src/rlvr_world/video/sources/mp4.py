"""Frames of video files, bounded before they are decoded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlvr_world.data.decode import MAX_PIXELS
from rlvr_world.extras import require
from rlvr_world.video.sources.episodes import BadEpisode, one_size, resize

MAX_BYTES = 2**32  # of the frames of an episode, decoded


def read_video(
    path: Path,
    image_size: tuple[int, int] | None = None,
    times: Sequence[float] | None = None,
    tolerance: float = 0.0,
) -> NDArray[np.uint8]:
    """The frames of a video, uint8 [T, H, W, 3]: all of them, or those at some times.

    Args:
        path: The file.
        image_size: Height and width to resize each frame to.
        times: Rising times of the frames to take, in seconds.
        tolerance: How far from its time a frame may be, in seconds.

    Raises:
        BadEpisode: The file is broken or missing, lacks a frame, or holds too much to decode.
    """
    av = require("av", "video", "Reading a video")
    try:
        with av.open(str(path)) as container:
            frames = list(_frames(container, image_size, times, tolerance))
    except BadEpisode as error:
        raise BadEpisode(f"{path.name} {error}") from error
    except Exception as error:
        raise BadEpisode(f"{path.name} is broken ({error})") from error
    if not frames:
        raise BadEpisode(f"{path.name} has no frames")
    one_size([frame.shape[:2] for frame in frames])
    if times is not None and len(frames) < len(times):
        raise BadEpisode(f"{path.name} ends before {times[len(frames)]:g} s")
    return np.stack(frames)


def _frames(
    container: Any,
    image_size: tuple[int, int] | None,
    times: Sequence[float] | None,
    tolerance: float,
) -> Any:
    stream = container.streams.video[0]
    context = stream.codec_context
    context.thread_count = 1
    if context.width * context.height > MAX_PIXELS:
        raise BadEpisode(f"has frames of {context.height} x {context.width}, too large to decode")
    if times is not None:
        container.seek(max(round(times[0] / stream.time_base), 0), stream=stream)
    taken = size = 0
    for frame in container.decode(stream):
        if times is not None:
            if taken == len(times):
                return
            if frame.time < times[taken] - tolerance:
                continue
            if frame.time > times[taken] + tolerance:
                raise BadEpisode(f"has no frame at {times[taken]:g} s")
        pixels = frame.to_ndarray(format="rgb24")
        pixels = resize(pixels, *image_size) if image_size else pixels
        taken, size = taken + 1, size + pixels.nbytes
        if size > MAX_BYTES:
            raise BadEpisode("has more than 4 GiB of frames; give a smaller image_size")
        yield pixels
