"""Episodes of video as samples: what their files are, and how they become arrays.

``{key}.frames.png`` (all T frames one below the other), ``{key}.frames.npy`` uint8 [T, H, W, 3] or
``{key}.frames.0000.jpg`` and so on (one file per frame), or ``{key}.tokens.npy`` uint16 [T, N];
``{key}.actions.npy`` float32 [T, A], where row t leads from frame t to t + 1;
``{key}.states.npy`` float32 [T, S], which may be missing; ``{key}.json``. Beside tokens there may
be ``{key}.context_tokens.npy`` uint16 [1, N], of the one frame they depend on.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlvr_world.data.decode import MAX_PIXELS, parse_json, read_array, read_picture
from rlvr_world.data.samples import BAD, BadSample

Shapes = Mapping[str, tuple[int, ...]]
"""The shape of one time step by array name; frames are [H, W, 3]."""


def jpeg_members(frames: Iterable[Any]) -> dict[str, Any]:
    """The members of an episode of JPEG frames: uint8 [H, W, 3], or the bytes of files as such."""
    return {_jpeg_extension(index): frame for index, frame in enumerate(frames)}


def decode_episode(sample: Mapping[str, Any], shapes: Shapes | None = None) -> dict[str, Any]:
    """The arrays of one sample as WebDataset reads it, checked.

    Args:
        sample: File contents by extension, ``__key__`` and ``__url__``.
        shapes: What a time step of each array must look like; arrays not named are not read.

    Returns:
        ``key``, ``json``, ``actions`` float32 [T, A], and what there is of ``frames`` uint8
        [T, 3, H, W], ``tokens`` int64 [T, N], ``context_tokens`` int64 [1, N] and ``states``
        float32 [T, S].

    Raises:
        BadSample: A file is missing or broken, or an array has another shape or NaN.
    """
    where = f"{sample['__url__']}: {sample['__key__']}"
    if BAD in sample:
        raise BadSample(f"{where}: {sample[BAD]}")
    arrays, info = _read_files(sample, shapes, where)
    if arrays["actions"].ndim != 2:
        raise BadSample(f"{where}: actions has shape {arrays['actions'].shape}, not [T, A]")
    length = len(arrays["actions"])
    if not length:
        raise BadSample(f"{where} has no time steps")
    if "frames" in arrays and arrays["frames"].ndim == 3:
        arrays["frames"] = _unstack(arrays["frames"], length, where)
    for name, array in arrays.items():
        steps = 1 if name == "context_tokens" else length
        _check(array, steps, shapes[name] if shapes else None, f"{where}: {name}")
    if "frames" in arrays:
        arrays["frames"] = arrays["frames"].transpose(0, 3, 1, 2)
    return {"key": sample["__key__"], "json": info, **arrays}


def _read_files(
    sample: Mapping[str, Any], shapes: Shapes | None, where: str
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    jpegs = _jpeg_extensions(sample, where) if shapes is None or "frames" in shapes else []
    wanted = {
        extension: extension.split(".")[0]
        for extension in sample
        if extension.endswith((".npy", ".png"))
        and (shapes is None or extension.split(".")[0] in shapes)
    }
    missing = [name for name in shapes or ("actions",) if name not in {*wanted.values()}]
    if jpegs and "frames" in missing:
        missing.remove("frames")
    missing += [] if "json" in sample else ["json"]
    if missing:
        raise BadSample(f"{where} has no {' and no '.join(missing)}")
    arrays, extension = {}, "json"
    try:
        info = parse_json(sample[extension])
        for extension, name in wanted.items():
            arrays[name] = _decode(name, extension, sample[extension])
        if jpegs:
            extension, limit = "frames.*.jpg", MAX_PIXELS // len(jpegs)
            arrays["frames"] = np.stack([read_picture(sample[name], limit) for name in jpegs])
    except ValueError as error:
        raise BadSample(f"{where}: a file is broken ({extension}: {error})") from error
    if not isinstance(info, dict):
        raise BadSample(f"{where}: json holds no object")
    return arrays, info


def _jpeg_extension(index: int) -> str:
    return f"frames.{index:04d}.jpg"


def _jpeg_extensions(sample: Mapping[str, Any], where: str) -> list[str]:
    count = sum(name.startswith("frames.") and name.endswith(".jpg") for name in sample)
    extensions = [_jpeg_extension(index) for index in range(count)]
    missing = [extension for extension in extensions if extension not in sample]
    if missing:
        raise BadSample(f"{where} has {count} JPEG frames but no {missing[0]}")
    return extensions


def _decode(name: str, extension: str, content: bytes) -> NDArray[Any]:
    """The array in one file, of the type that its name has; a PNG is [T * H, W, 3]."""
    if extension.endswith(".png"):
        return read_picture(content)
    array = read_array(content)
    if name == "frames" and array.dtype != np.uint8:
        raise ValueError(f"the frames are {array.dtype}, not uint8")
    if name in ("tokens", "context_tokens"):
        if array.dtype.kind == "f" or (array.size and not 0 <= array.min() <= array.max() < 2**31):
            raise ValueError("the tokens are not whole numbers from 0 on")
        return array.astype(np.int64)
    if name in ("actions", "states"):
        with np.errstate(over="ignore"):
            return array.astype(np.float32)
    return array


def _unstack(strip: NDArray[np.uint8], length: int, where: str) -> NDArray[np.uint8]:
    """Frames [T, H, W, 3] from a strip [T * H, W, 3]."""
    if not length or len(strip) % length:
        raise BadSample(f"{where}: frames.png is {len(strip)} high, which is not {length} frames")
    return strip.reshape(length, -1, *strip.shape[1:])


def _check(array: NDArray[Any], length: int, shape: tuple[int, ...] | None, what: str) -> None:
    steps = len(array) if array.ndim else "no"
    if steps != length:
        raise BadSample(f"{what} has {steps} time steps, actions has {length}")
    if shape is not None and array.shape[1:] != tuple(shape):
        raise BadSample(f"{what} has shape {array.shape[1:]} per step, expected {tuple(shape)}")
    if array.dtype.kind in "fc" and not np.isfinite(array).all():
        raise BadSample(f"{what} holds NaN or infinite values")
